/* Bob Jenkins' lookup3 over 1200 bytes of the packet: 32-bit arithmetic and rotations. */
#include "bench.h"

#define LENGTH 1200
#define rotl(x, n) (((x) << (n)) | ((x) >> (32 - (n))))

SEC("tc") int jhash(struct __sk_buff *skb)
{
	const __u8 *data = DATA(skb);
	__u32 a = 0xdeadbeef + LENGTH + skb->ifindex * 0, b = a, c = a;

	if (data + LENGTH > (const __u8 *)DATA_END(skb))
		return -1;
	NO_UNROLL
	for (__u32 i = 0; i < LENGTH; i += 12) {
		a += *(const __u32 *)(data + i);
		b += *(const __u32 *)(data + i + 4);
		c += *(const __u32 *)(data + i + 8);
		a -= c; a ^= rotl(c, 4); c += b;
		b -= a; b ^= rotl(a, 6); a += c;
		c -= b; c ^= rotl(b, 8); b += a;
		a -= c; a ^= rotl(c, 16); c += b;
		b -= a; b ^= rotl(a, 19); a += c;
		c -= b; c ^= rotl(b, 4); b += a;
	}
	c ^= b; c -= rotl(b, 14);
	a ^= c; a -= rotl(c, 11);
	b ^= a; b -= rotl(a, 25);
	c ^= b; c -= rotl(b, 16);
	a ^= c; a -= rotl(c, 4);
	b ^= a; b -= rotl(a, 14);
	c ^= b; c -= rotl(b, 24);
	return c;
}
