/* Sixteen lookups and counts in an array map. */
#include "bench.h"

struct {
	__uint(type, 2);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1024);
} counters SEC(".maps");

SEC("tc") int arrmap(struct __sk_buff *skb)
{
	__u64 sum = 0;

	NO_UNROLL
	for (__u32 i = 0; i < 16; i++) {
		__u32 key = (i * 37 + skb->protocol) & 1023;
		__u64 *value = bpf_map_lookup_elem(&counters, &key);

		if (value) {
			*value += i;
			sum += i + key;
		}
	}
	return sum;
}
