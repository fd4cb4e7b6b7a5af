/* Every kind of CO-RE relocation, externs of the configuration and of the kernel. */
#include "bpf.h"

#define __core __attribute__((preserve_access_index))

struct iphdr {
	__u8 ihl : 4;
	__u8 version : 4;
	__u8 tos;
	__u16 tot_len;
} __core;

struct task_struct {
	int pid;
	char comm[16];
	int not_there;
} __core;

struct sk_buff___old {
	int nothing_like_it;
} __core;

enum bpf_map_type___local { BPF_MAP_TYPE_HASH___x = 1, BPF_MAP_TYPE_NEVER = 99 };
struct bpf_spin_lock {
	__u32 val;
};

extern int LINUX_KERNEL_VERSION __kconfig;
extern bool CONFIG_BPF_SYSCALL __kconfig __weak;
extern const char CONFIG_NEVER_HEARD_OF[8] __kconfig __weak;

extern void *bpf_task_acquire(void *task) __ksym __weak;
extern int no_such_kfunc(int value) __ksym __weak;

SEC("tc")
int fields(struct __sk_buff *skb)
{
	struct task_struct *task = (void *)0;
	__u64 result = 0;

	result += __builtin_preserve_field_info(task->pid, 0);        /* byte offset */
	result += __builtin_preserve_field_info(task->comm, 1);       /* byte size */
	result += __builtin_preserve_field_info(task->not_there, 2);  /* exists */
	result += __builtin_preserve_field_info(task->pid, 3);        /* signed */
	result += __builtin_preserve_field_info(((struct iphdr *)0)->version, 4); /* left shift */
	result += __builtin_preserve_field_info(((struct iphdr *)0)->version, 5); /* right shift */
	return result;
}

SEC("tc")
int types(struct __sk_buff *skb)
{
	__u64 result = 0;

	result += __builtin_btf_type_id(*(struct bpf_spin_lock *)0, 0);       /* local id */
	result += __builtin_btf_type_id(*(struct bpf_spin_lock *)0, 1);       /* target id */
	result += __builtin_preserve_type_info(*(struct bpf_spin_lock *)0, 0); /* exists */
	result += __builtin_preserve_type_info(*(struct bpf_spin_lock *)0, 1); /* size */
	result += __builtin_preserve_type_info(*(struct bpf_spin_lock *)0, 2); /* matches */
	result += __builtin_preserve_enum_value(*(enum bpf_map_type___local *)BPF_MAP_TYPE_HASH___x, 0);
	result += __builtin_preserve_enum_value(*(enum bpf_map_type___local *)BPF_MAP_TYPE_HASH___x, 1);
	result += __builtin_preserve_enum_value(*(enum bpf_map_type___local *)BPF_MAP_TYPE_NEVER, 0);
	return result;
}

SEC("tc")
int externs(struct __sk_buff *skb)
{
	int result = LINUX_KERNEL_VERSION;

	if (CONFIG_BPF_SYSCALL)
		result++;
	return result + CONFIG_NEVER_HEARD_OF[0];
}

SEC("tc")
int kfunc_missing(struct __sk_buff *skb)
{
	return no_such_kfunc(skb->len);
}

SEC("tc")
int kfunc_guarded(struct __sk_buff *skb)
{
	if (no_such_kfunc)
		return no_such_kfunc(skb->len);
	return 0;
}

SEC("tc")
int poisoned(struct __sk_buff *skb)
{
	struct task_struct *task = (void *)0;

	return __builtin_preserve_field_info(task->not_there, 0);
}

SEC("freplace/fields")
int replacement(struct __sk_buff *skb)
{
	return 7;
}

char _license[] SEC("license") = "GPL";
