/* Copies between packet and stack by bytes and by words, and a comparison. */
#include "bench.h"

#define LENGTH 256

SEC("tc") int memops(struct __sk_buff *skb)
{
	__u64 words[LENGTH / 8];
	__u8 *copy = (__u8 *)words;
	const __u8 *data = DATA(skb);
	__u32 sum = 0;

	if (data + 1024 > (const __u8 *)DATA_END(skb))
		return -1;
	NO_UNROLL
	for (__u32 block = 0; block < 4; block++) {
		const __u8 *from = data + block * LENGTH;

		NO_UNROLL
		for (__u32 i = 0; i < LENGTH; i++) {
			copy[i] = from[i];
			asm volatile("" ::: "memory");
		}
		NO_UNROLL
		for (__u32 i = 0; i < LENGTH; i += 8) {
			sum += *(const __u64 *)(copy + i) == *(const __u64 *)(from + i);
			*(__u64 *)(copy + i) = sum;
			asm volatile("" ::: "memory");
		}
	}
	return sum + copy[8];
}
