/* SipHash-2-4 over 1024 bytes of the packet: 64-bit additions, exclusive ors and rotations. */
#include "bench.h"

#define LENGTH 1024
#define rotl(x, n) (((x) << (n)) | ((x) >> (64 - (n))))
#define ROUND                                                                  \
	do {                                                                   \
		v0 += v1; v1 = rotl(v1, 13); v1 ^= v0; v0 = rotl(v0, 32);      \
		v2 += v3; v3 = rotl(v3, 16); v3 ^= v2;                         \
		v0 += v3; v3 = rotl(v3, 21); v3 ^= v0;                         \
		v2 += v1; v1 = rotl(v1, 17); v1 ^= v2; v2 = rotl(v2, 32);      \
	} while (0)

SEC("tc") int siphash(struct __sk_buff *skb)
{
	const __u8 *data = DATA(skb);
	__u64 k0 = 0x0706050403020100ULL, k1 = 0x0f0e0d0c0b0a0908ULL;
	__u64 v0 = k0 ^ 0x736f6d6570736575ULL, v1 = k1 ^ 0x646f72616e646f6dULL;
	__u64 v2 = k0 ^ 0x6c7967656e657261ULL, v3 = k1 ^ 0x7465646279746573ULL;

	if (data + LENGTH > (const __u8 *)DATA_END(skb))
		return -1;
	NO_UNROLL
	for (__u32 i = 0; i < LENGTH; i += 8) {
		__u64 word = *(const __u64 *)(data + i);

		v3 ^= word;
		ROUND;
		ROUND;
		v0 ^= word;
	}
	v2 ^= 0xff;
	ROUND;
	ROUND;
	ROUND;
	ROUND;
	v0 ^= v1 ^ v2 ^ v3;
	return v0 ^ (v0 >> 32);
}
