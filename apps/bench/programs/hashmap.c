/* Sixteen lookups in a hash map that holds 8192 entries: three of four keys are there. */
#include "bench.h"

struct {
	__uint(type, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 16384);
} flows SEC(".maps");

struct {
	__uint(type, 2);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
} position SEC(".maps");

/* Where this run goes on in the key space, so that 8192 entries are touched and not the same sixteen. */
SEC("tc") int hashmap(struct __sk_buff *skb)
{
	__u32 zero = 0, sum = 0, key;
	__u32 *next = bpf_map_lookup_elem(&position, &zero);

	if (!next)
		return -1;
	key = *next;
	NO_UNROLL
	for (__u32 i = 0; i < 16; i++) {
		__u64 *value;
		__u32 wanted;

		key = key * 1664525 + 1013904223;
		wanted = (key >> 16) % 10923;
		value = bpf_map_lookup_elem(&flows, &wanted);
		if (value)
			sum += *value;
	}
	*next = key;
	return sum;
}
