/* The empty program: what it costs to run anything at all. */
#include "bench.h"

SEC("tc") int tiny(struct __sk_buff *skb)
{
	return 0;
}
