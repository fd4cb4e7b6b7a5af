/* 64-bit multiplications, divisions and remainders whose operands depend on each other. */
#include "bench.h"

SEC("tc") int muldiv(struct __sk_buff *skb)
{
	__u64 state = skb->len + 0x9e3779b97f4a7c15ULL, quotients = 0, remainders = 1;

	NO_UNROLL
	for (__u32 i = 0; i < 100; i++) {
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		quotients += (state >> 16) * (quotients | 1);
		state ^= quotients * 0x9e3779b97f4a7c15ULL;
		quotients += (state >> 20) / ((state & 0xffff) | 1);
		remainders = remainders * 31 + (__u32)state % (i * 77 + 13);
	}
	return (quotients ^ (quotients >> 32)) + remainders;
}
