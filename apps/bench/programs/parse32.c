/* The branchy parser 32 times in one run: once alone is too short to measure. */
#include "parse.h"

SEC("tc") int parse32(struct __sk_buff *skb)
{
	const __u8 *data = DATA(skb), *end = DATA_END(skb);
	__u32 flow = 0;

	NO_UNROLL
	for (__u32 i = 0; i < 32; i++) {
		flow += parse(data, end, flow);
		asm volatile("" : "+r"(data), "+r"(flow));
	}
	return flow;
}
