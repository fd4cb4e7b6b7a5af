/* One dependent addition and the loop itself: 5000 rounds of three instructions. */
#include "bench.h"

SEC("tc") int loop(struct __sk_buff *skb)
{
	__u64 sum = skb->len;

	NO_UNROLL
	for (__u64 i = 0; i < 5000; i++)
		asm volatile("%0 += %1" : "+r"(sum) : "r"(i));
	return sum;
}
