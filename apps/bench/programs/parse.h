/* A branchy parser: Ethernet, two VLAN tags, IPv4 or IPv6 with extension headers, TCP or UDP; answers a hash of the flow. */
#pragma once
#include "bench.h"

struct ipv4 { __u8 version_ihl, tos; __u16 length, id, fragment; __u8 ttl, protocol; __u16 checksum; __u32 source, destination; };
struct ipv6 { __u32 flow; __u16 length; __u8 next, hops; __u32 source[4], destination[4]; };
struct ports { __u16 source, destination; };
struct tcp { __u16 source, destination; __u32 sequence, ack; __u16 flags; };

static __always_inline __u32 parse_transport(const __u8 *at, const __u8 *end, __u8 protocol, __u32 flow)
{
	if (protocol == 6) {
		const struct tcp *tcp = (const void *)at;

		if (at + 20 > end)
			return 1;
		if (tcp->flags & be16(0x0002))
			flow ^= 0x5a5a;
		if (tcp->destination == be16(22))
			return 2;
		return flow * 31 + be16(tcp->source) * 7 + be16(tcp->destination);
	}
	if (protocol == 17) {
		const struct ports *udp = (const void *)at;

		if (at + 8 > end)
			return 3;
		if (udp->destination == be16(53) || udp->source == be16(53))
			return 4;
		return flow * 33 + be16(udp->source) * 5 + be16(udp->destination);
	}
	if (protocol == 1 || protocol == 58)
		return flow + 5;
	return 6;
}

static __always_inline __u32 parse(const __u8 *data, const __u8 *end, __u32 seed)
{
	const __u8 *at = data + 14;
	__u16 type;

	if (at > end)
		return 7;
	type = *(const __u16 *)(data + 12);
	for (int tag = 0; tag < 2; tag++) {
		if (type != be16(0x8100) && type != be16(0x88a8))
			break;
		if (at + 4 > end)
			return 8;
		type = *(const __u16 *)(at + 2);
		at += 4;
	}
	if (type == be16(0x0800)) {
		const struct ipv4 *ip = (const void *)at;
		__u32 header;

		if (at + 20 > end)
			return 9;
		header = (ip->version_ihl & 15) * 4;
		if (ip->version_ihl >> 4 != 4 || header < 20)
			return 10;
		if (ip->fragment & be16(0x1fff))
			return 11;
		if (ip->ttl <= 1)
			return 12;
		if (be16(ip->length) < header)
			return 13;
		return parse_transport(at + header, end, ip->protocol, seed ^ ip->source ^ (ip->destination << 1));
	}
	if (type == be16(0x86dd)) {
		const struct ipv6 *ip = (const void *)at;
		__u32 flow = seed;
		__u8 next;

		if (at + 40 > end)
			return 14;
		if (ip->hops <= 1)
			return 15;
		for (int i = 0; i < 4; i++)
			flow ^= ip->source[i] + ip->destination[i];
		next = ip->next;
		at += 40;
		if (next == 0 || next == 60) {
			if (at + 8 > end)
				return 16;
			if (at[1])
				return 17;
			next = at[0];
			at += 8;
		}
		return parse_transport(at, end, next, flow);
	}
	return type == be16(0x0806) ? 18 : 19;
}
