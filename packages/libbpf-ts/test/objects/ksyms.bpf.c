/* Symbols of the kernel: functions, variables with and without types, and a program to replace. */
#include "bpf.h"

extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern const int bpf_prog_active __ksym;
extern const void __per_cpu_start __ksym __weak;
extern const int no_such_variable __ksym __weak;

static void *(*bpf_this_cpu_ptr)(const void *ptr) = (void *)154;

__noinline int verdict(struct __sk_buff *skb)
{
	return skb->len > 100 ? 2 : 0;
}

SEC("tc")
int locked(struct __sk_buff *skb)
{
	int result;

	bpf_rcu_read_lock();
	result = skb->len;
	bpf_rcu_read_unlock();
	return result;
}

SEC("tc")
int variables(struct __sk_buff *skb)
{
	const int *active = bpf_this_cpu_ptr(&bpf_prog_active);

	return *active + (&no_such_variable != 0) + (&__per_cpu_start != 0);
}

SEC("tc")
int entry(struct __sk_buff *skb)
{
	return verdict(skb);
}

SEC("freplace/verdict")
int replaced(struct __sk_buff *skb)
{
	return 7;
}

char _license[] SEC("license") = "GPL";
