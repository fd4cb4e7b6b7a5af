/* The internet checksum over 1480 bytes of the packet, 16 bits at a time. */
#include "bench.h"

#define LENGTH 1480

SEC("tc") int csum(struct __sk_buff *skb)
{
	const __u8 *data = DATA(skb);
	__u32 sum = 0;

	if (data + LENGTH > (const __u8 *)DATA_END(skb))
		return -1;
	NO_UNROLL
	for (__u32 i = 0; i < LENGTH; i += 2)
		sum += *(const __u16 *)(data + i);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}
