/* What the bench programs share: the few ABI names they need, so that no system header is read. */
#pragma once

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;

struct __sk_buff {
	__u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority;
	__u32 ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid, data, data_end;
};

#define SEC(name) __attribute__((section(name), used))
#define __noinline __attribute__((noinline))
#define __always_inline inline __attribute__((always_inline))
#define NO_UNROLL _Pragma("clang loop unroll(disable) vectorize(disable)")
#define be16(x) ((__u16)__builtin_bswap16(x))

#define DATA(skb) ((void *)(long)(skb)->data)
#define DATA_END(skb) ((void *)(long)(skb)->data_end)

#define __uint(name, value) int (*name)[value]
#define __type(name, type) type *name
static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value, __u64 flags) = (void *)2;

char LICENSE[] SEC("license") = "Dual BSD/GPL";
