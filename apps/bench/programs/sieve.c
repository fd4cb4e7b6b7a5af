/* The primes below 400 by Eratosthenes, in the bytes of a map value. */
#include "bench.h"

#define LIMIT 400
#define ROOT 20

struct table {
	__u64 words[LIMIT / 8];
};

struct {
	__uint(type, 2);
	__type(key, __u32);
	__type(value, struct table);
	__uint(max_entries, 1);
} tables SEC(".maps");

SEC("tc") int sieve(struct __sk_buff *skb)
{
	__u32 zero = 0, primes = 0;
	struct table *table = bpf_map_lookup_elem(&tables, &zero);
	__u8 *composite = (__u8 *)table;

	if (!table)
		return -1;
	NO_UNROLL
	for (__u32 i = 0; i < LIMIT / 8; i++) {
		table->words[i] = 0;
		asm volatile("" ::: "memory");
	}
	NO_UNROLL
	for (__u32 n = 2; n < ROOT; n++) {
		if (composite[n])
			continue;
		NO_UNROLL
		for (__u32 multiple = n * n; multiple < LIMIT; multiple += n)
			composite[multiple] = 1;
	}
	NO_UNROLL
	for (__u32 n = 2; n < LIMIT; n++)
		primes += (composite[n] - 1U) >> 31;
	return primes;
}
