/* The primes below 400 by Eratosthenes, in bytes on the stack. */
#include "bench.h"

#define LIMIT 400

SEC("tc") int sieve(struct __sk_buff *skb)
{
	__u64 words[LIMIT / 8];
	__u8 *composite = (__u8 *)words;
	__u32 primes = 0;

	NO_UNROLL
	for (__u32 i = 0; i < LIMIT / 8; i++)
		((volatile __u64 *)words)[i] = 0;
	NO_UNROLL
	for (__u32 n = 2; n < LIMIT; n++) {
		if (composite[n])
			continue;
		primes++;
		NO_UNROLL
		for (__u32 multiple = n * n; multiple < LIMIT; multiple += n)
			composite[multiple] = 1;
	}
	return primes + skb->len;
}
