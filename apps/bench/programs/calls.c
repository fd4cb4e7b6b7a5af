/* Sixty-four calls from program to program. */
#include "bench.h"

static __noinline __u64 mix(__u64 a, __u64 b, __u64 c)
{
	a ^= b >> 7;
	a += c * 5;
	asm volatile("" : "+r"(a));
	return a ^ (a << 3);
}

static __noinline __u64 pair(__u64 a, __u64 b)
{
	return mix(a, b, 1) + mix(b, a, 2);
}

SEC("tc") int calls(struct __sk_buff *skb)
{
	__u64 a = skb->len, b = 12345;

	NO_UNROLL
	for (__u32 i = 0; i < 21; i++) {
		a = pair(a, b);
		b += a;
	}
	return mix(a, b, 3);
}
