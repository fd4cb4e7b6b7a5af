/* A congestion control: a table of functions for the kernel. */
#include "bpf.h"

struct sock;
struct rate_sample;
struct ack_sample;

struct tcp_congestion_ops___mine {
	__u32 (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
	__u32 (*undo_cwnd)(struct sock *sk);
	__u32 flags;
	char name[16];
};

SEC("struct_ops")
__u32 mine_ssthresh(unsigned long long *ctx)
{
	return 2;
}

SEC("struct_ops")
void mine_cong_avoid(unsigned long long *ctx)
{
}

SEC("struct_ops")
__u32 mine_undo_cwnd(unsigned long long *ctx)
{
	return 10;
}

SEC(".struct_ops.link")
struct tcp_congestion_ops___mine mine = {
	.ssthresh = (void *)mine_ssthresh,
	.cong_avoid = (void *)mine_cong_avoid,
	.undo_cwnd = (void *)mine_undo_cwnd,
	.name = "bpf_mine",
};

char _license[] SEC("license") = "GPL";
