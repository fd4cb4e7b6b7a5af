/* Both kinds of ring buffer, and an array that user space maps. */
#include "bpf.h"

enum { BPF_MAP_TYPE_USER_RINGBUF = 31, BPF_F_MMAPABLE = 1024 };

static void *(*bpf_ringbuf_reserve)(void *ring, __u64 size, __u64 flags) = (void *)131;
static void (*bpf_ringbuf_submit)(void *data, __u64 flags) = (void *)132;
static void (*bpf_ringbuf_discard)(void *data, __u64 flags) = (void *)133;
static long (*bpf_user_ringbuf_drain)(void *ring, void *callback, void *ctx, __u64 flags) = (void *)209;
static long (*bpf_dynptr_read)(void *dst, __u32 len, const void *src, __u32 offset, __u64 flags) = (void *)201;

struct record {
	__u64 number;
	__u8 pad[92];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
} orders SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 3);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

static __u64 count;

/* One record a run; every third one is discarded. Returns 0 where there is no room. */
SEC("tc")
int produce(struct __sk_buff *skb)
{
	struct record *record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	if (!record)
		return 0;
	record->number = ++count;
	if (count % 3 == 0)
		bpf_ringbuf_discard(record, 0);
	else
		bpf_ringbuf_submit(record, 0);
	return 1;
}

static long one_order(void *dynptr, void *ctx)
{
	__u64 number = 0;
	if (bpf_dynptr_read(&number, sizeof(number), dynptr, 0, 0))
		return 1;
	*(__u64 *)ctx += number;
	return 0;
}

/* Adds up what user space sent. */
SEC("tc")
int drain(struct __sk_buff *skb)
{
	__u64 sum = 0;
	__u32 key = 1;
	long drained = bpf_user_ringbuf_drain(&orders, one_order, &sum, 0);
	__u64 *total = bpf_map_lookup_elem(&counters, &key);
	if (total)
		*total += sum;
	return drained;
}

char _license[] SEC("license") = "GPL";
