/* Every way to define a map or a variable, and calls of static, global and hidden functions. */
#include "bpf.h"

struct flow {
	__u32 addr;
	__u16 port;
	__u16 pad;
};

enum mode { MODE_OFF, MODE_COUNT, MODE_DROP };

struct stats {
	__u64 packets;
	__u32 bytes;
	enum mode mode;
	char name[8];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct flow);
	__type(value, struct stats);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__uint(value_size, 12);
	__uint(pinning, 1);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 5000);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 8);
} samples SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} first SEC(".maps"), second SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 3);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { [0] = &first, [2] = &second } };

int tail(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__array(values, int(void *));
} jumps SEC(".maps") = { .values = { [1] = (void *)&tail } };

const volatile __u32 limit = 100;
__u64 seen;
__u32 start = 7;
__u32 table[4] SEC(".data.table") = { 1, 2, 3, 4 };
static volatile __u32 hidden_state;

static __noinline int add(int a, int b)
{
	return a + b + hidden_state;
}

__noinline int scale(int value)
{
	return add(value, value) * 2;
}

__hidden __noinline int half(int value)
{
	return value >> 1;
}

static int step(__u32 index, __u64 *sum)
{
	*sum += index;
	return 0;
}

SEC("xdp")
int main_prog(struct xdp_md *ctx)
{
	struct flow key = { .addr = ctx->ingress_ifindex, .port = 80 };
	struct stats *found = bpf_map_lookup_elem(&flows, &key);
	__u64 sum = 0;
	__u32 slot = 2;
	void *map;

	seen++;
	if (found)
		found->packets++;
	map = bpf_map_lookup_elem(&outer, &slot);
	if (map)
		bpf_map_lookup_elem(map, &slot);
	bpf_loop(4, step, &sum, 0);
	bpf_tail_call(ctx, &jumps, 1);
	return seen > limit ? scale(start) + half(sum) + table[1] : 2;
}

SEC("xdp")
int tail(struct xdp_md *ctx)
{
	return add(1, 1);
}

SEC("?tc/ingress")
int optional(struct __sk_buff *skb)
{
	return half(skb->len);
}

char _license[] SEC("license") = "Dual MIT/GPL";
