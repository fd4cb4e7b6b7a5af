/** What kernel BTF types: tp_btf, iterators, struct_ops, kfuncs, sockets taken for what they are. */

import { cases, PASS } from './case-list.ts';
import type { Case, Row } from './case-list.ts';
import type { Program } from '../support/case.ts';

const tpBtf: Partial<Program> = { type: 'tracing', attach: 23, attach_to: ['typedef', 'btf_trace_sched_switch'] };
const iter = (target: string): Partial<Program> => ({ type: 'tracing', attach: 28, attach_to: ['func', `bpf_iter_${target}`] });
const tcpOps = (member: number): Partial<Program> => ({
  type: 'struct_ops',
  attach: member,
  attach_to: ['struct', 'tcp_congestion_ops'],
});

const TRACING: Row[] = [
  ['reads a number', `r2 = *(u64 *)(r1 +0)\n${PASS}`, tpBtf],
  ['reads a task', `r2 = *(u64 *)(r1 +8)\nr3 = *(u64 *)(r2 +0)\n${PASS}`, tpBtf],
  ['reads before a task', `r2 = *(u64 *)(r1 +8)\nr3 = *(u64 *)(r2 -8)\n${PASS}`, tpBtf],
  ['reads far beyond a task', `r2 = *(u64 *)(r1 +8)\nr3 = *(u64 *)(r2 +32000)\n${PASS}`, tpBtf],
  ['writes a task', `r2 = *(u64 *)(r1 +8)\n*(u64 *)(r2 +0) = 1\n${PASS}`, tpBtf],
  ['reads an argument that is none', `r2 = *(u64 *)(r1 +40)\n${PASS}`, tpBtf],
  ['reads half an argument', `r2 = *(u32 *)(r1 +8)\n${PASS}`, tpBtf],
  ['writes an argument', `*(u64 *)(r1 +8) = 1\n${PASS}`, tpBtf],
  [
    'reads at a variable place of a task',
    `r6 = *(u64 *)(r1 +8)\ncall bpf_get_prandom_u32\nr0 &= 7\nr6 += r0\nr3 = *(u8 *)(r6 +0)\n${PASS}`,
    tpBtf,
  ],
  ['the current task', `call bpf_get_current_task_btf\nr3 = *(u64 *)(r0 +0)\n${PASS}`, tpBtf],
  ['the current task in a classifier', `call bpf_get_current_task_btf\nr3 = *(u64 *)(r0 +0)\n${PASS}`],
  [
    'stores for a task',
    `r2 = *(u64 *)(r1 +8)\nr1 = map[task_storage]\nr3 = 0\nr4 = 1\ncall bpf_task_storage_get\nif r0 == 0 goto out\nr3 = *(u64 *)(r0 +0)\nout:\n${PASS}`,
    tpBtf,
  ],
  ['stores for a number', `r2 = 5\nr1 = map[task_storage]\nr3 = 0\nr4 = 1\ncall bpf_task_storage_get\n${PASS}`, tpBtf],
  ['compares a task with zero', `r2 = *(u64 *)(r1 +8)\nif r2 == 0 goto out\nr3 = *(u64 *)(r2 +0)\nout:\n${PASS}`, tpBtf],
  ['returns five', 'r0 = 5\nexit', tpBtf],
];

const ITER: Row[] = [
  ['a task that may be NULL', `r2 = *(u64 *)(r1 +8)\nr3 = *(u64 *)(r2 +0)\n${PASS}`, iter('task')],
  ['a task that is checked', `r2 = *(u64 *)(r1 +8)\nif r2 == 0 goto out\nr3 = *(u64 *)(r2 +0)\nout:\n${PASS}`, iter('task')],
  ['the meta', `r2 = *(u64 *)(r1 +0)\nr3 = *(u64 *)(r2 +0)\n${PASS}`, iter('task')],
  [
    'a line of text',
    `r2 = *(u64 *)(r1 +0)\nr1 = *(u64 *)(r2 +0)\n*(u64 *)(r10 -8) = 0\nr2 = r10\nr2 += -8\nr3 = 8\ncall bpf_seq_write\n${PASS}`,
    iter('task'),
  ],
  ['a value that may be NULL', `r2 = *(u64 *)(r1 +24)\nr3 = *(u64 *)(r2 +0)\n${PASS}`, iter('bpf_map_elem')],
  ['a value', `r2 = *(u64 *)(r1 +24)\nif r2 == 0 goto out\nr3 = *(u64 *)(r2 +0)\nout:\n${PASS}`, iter('bpf_map_elem')],
  ['writes a value', `r2 = *(u64 *)(r1 +24)\nif r2 == 0 goto out\n*(u64 *)(r2 +0) = 1\nout:\n${PASS}`, iter('bpf_map_elem')],
  ['writes a key', `r2 = *(u64 *)(r1 +16)\nif r2 == 0 goto out\n*(u32 *)(r2 +0) = 1\nout:\n${PASS}`, iter('bpf_map_elem')],
  [
    'reads before a value',
    `r2 = *(u64 *)(r1 +24)\nif r2 == 0 goto out\nr3 = *(u64 *)(r2 -8)\nout:\n${PASS}`,
    iter('bpf_map_elem'),
  ],
  ['returns two', 'r0 = 2\nexit', iter('task')],
  ['a number of a socket', `r2 = *(u32 *)(r1 +16)\n${PASS}`, iter('tcp')],
];

const STRUCT_OPS: Row[] = [
  ['ssthresh reads its socket', `r2 = *(u64 *)(r1 +0)\nr3 = *(u64 *)(r2 +0)\n${PASS}`, tcpOps(0)],
  ['ssthresh reads a second argument', `r2 = *(u64 *)(r1 +8)\n${PASS}`, tcpOps(0)],
  ['ssthresh without a result', 'exit', tcpOps(0)],
  ['cong_avoid reads its numbers', `r2 = *(u64 *)(r1 +8)\nr3 = *(u64 *)(r1 +16)\n${PASS}`, tcpOps(1)],
  ['cong_avoid without a result', 'exit', tcpOps(1)],
  ['writes any field of its socket', `r2 = *(u64 *)(r1 +0)\n*(u32 *)(r2 +0) = 1\n${PASS}`, tcpOps(0)],
  ['a member that is no function', PASS, tcpOps(11)],
  ['a member beyond the last', PASS, tcpOps(99)],
  ['a member that is not supported', PASS, tcpOps(9)],
  ['without GPL', PASS, { ...tcpOps(0), license: 'MIT' }],
  ['sends an acknowledgement', `r1 = *(u64 *)(r1 +0)\nr2 = 0\ncall bpf_tcp_send_ack\n${PASS}`, tcpOps(0)],
];

const KFUNCS: Row[] = [
  ['calls a type', `call kernel-function#7\n${PASS}`],
  ['calls a type where nothing leads', `r0 = 0\nexit\ncall kernel-function#7\n${PASS}`],
  ['calls what kernel BTF does not have', `call kernel-function#999999999\n${PASS}`],
  ['calls no function', `call kernel-function#0\n${PASS}`],
  [
    'takes and gives back a task',
    `r1 = *(u64 *)(r1 +8)\ncall kfunc bpf_task_acquire\nif r0 == 0 goto out\nr1 = r0\ncall kfunc bpf_task_release\nout:\n${PASS}`,
    tpBtf,
  ],
  ['takes a task and loses it', `r1 = *(u64 *)(r1 +8)\ncall kfunc bpf_task_acquire\n${PASS}`, tpBtf],
  [
    'gives back a task without a check',
    `r1 = *(u64 *)(r1 +8)\ncall kfunc bpf_task_acquire\nr1 = r0\ncall kfunc bpf_task_release\n${PASS}`,
    tpBtf,
  ],
  ['gives back a task that it did not take', `r1 = *(u64 *)(r1 +8)\ncall kfunc bpf_task_release\n${PASS}`, tpBtf],
  [
    'gives back a task twice',
    `r1 = *(u64 *)(r1 +8)\ncall kfunc bpf_task_acquire\nif r0 == 0 goto out\nr6 = r0\nr1 = r0\ncall kfunc bpf_task_release\nr1 = r6\ncall kfunc bpf_task_release\nout:\n${PASS}`,
    tpBtf,
  ],
  [
    'finds a task by its number',
    `r1 = 1\ncall kfunc bpf_task_from_pid\nif r0 == 0 goto out\nr1 = r0\ncall kfunc bpf_task_release\nout:\n${PASS}`,
    tpBtf,
  ],
  [
    'finds a task in a classifier',
    `r1 = 1\ncall kfunc bpf_task_from_pid\nif r0 == 0 goto out\nr1 = r0\ncall kfunc bpf_task_release\nout:\n${PASS}`,
  ],
  ['a number for a task', `r1 = 5\ncall kfunc bpf_task_acquire\n${PASS}`, tpBtf],
  ['NULL for a task', `r1 = 0\ncall kfunc bpf_task_acquire\n${PASS}`, tpBtf],
  ['a kfunc of another type', `r2 = 0\nr3 = r10\nr3 += -16\ncall kfunc bpf_dynptr_from_xdp\n${PASS}`],
  ['a kfunc in a type that has none', `r1 = 1\ncall kfunc bpf_task_from_pid\n${PASS}`, { type: 'socket_filter' }],
  ['a kfunc without GPL', `r1 = 1\ncall kfunc bpf_task_from_pid\n${PASS}`, { license: 'MIT' }],
  ['an RCU section', `call kfunc bpf_rcu_read_lock\ncall kfunc bpf_rcu_read_unlock\n${PASS}`],
  ['an RCU section that does not end', `call kfunc bpf_rcu_read_lock\n${PASS}`],
  ['an RCU section that did not begin', `call kfunc bpf_rcu_read_unlock\n${PASS}`],
  [
    'an RCU section in another',
    `call kfunc bpf_rcu_read_lock\ncall kfunc bpf_rcu_read_lock\ncall kfunc bpf_rcu_read_unlock\ncall kfunc bpf_rcu_read_unlock\n${PASS}`,
  ],
  ['a section without preemption', `call kfunc bpf_preempt_disable\ncall kfunc bpf_preempt_enable\n${PASS}`],
  ['a section without preemption that does not end', `call kfunc bpf_preempt_disable\n${PASS}`],
  [
    'interrupts off and on',
    `r1 = r10\nr1 += -8\ncall kfunc bpf_local_irq_save\nr1 = r10\nr1 += -8\ncall kfunc bpf_local_irq_restore\n${PASS}`,
  ],
  ['interrupts off', `r1 = r10\nr1 += -8\ncall kfunc bpf_local_irq_save\n${PASS}`],
  ['a packet as a dynptr', `r2 = 0\nr3 = r10\nr3 += -16\ncall kfunc bpf_dynptr_from_skb\n${PASS}`],
  [
    'a packet as a dynptr, sliced',
    `r2 = 0\nr3 = r10\nr3 += -16\ncall kfunc bpf_dynptr_from_skb\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = r10\nr3 += -32\nr4 = 16\ncall kfunc bpf_dynptr_slice\nif r0 == 0 goto out\nr3 = *(u64 *)(r0 +8)\nout:\n${PASS}`,
  ],
  [
    'a slice without a check',
    `r2 = 0\nr3 = r10\nr3 += -16\ncall kfunc bpf_dynptr_from_skb\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = r10\nr3 += -32\nr4 = 16\ncall kfunc bpf_dynptr_slice\nr3 = *(u64 *)(r0 +8)\n${PASS}`,
  ],
  [
    'writes a slice that is for reading',
    `r2 = 0\nr3 = r10\nr3 += -16\ncall kfunc bpf_dynptr_from_skb\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = r10\nr3 += -32\nr4 = 16\ncall kfunc bpf_dynptr_slice\nif r0 == 0 goto out\n*(u64 *)(r0 +8) = 1\nout:\n${PASS}`,
  ],
  [
    'counts',
    `r1 = r10\nr1 += -8\nr2 = 0\nr3 = 10\ncall kfunc bpf_iter_num_new\nagain:\nr1 = r10\nr1 += -8\ncall kfunc bpf_iter_num_next\nif r0 == 0 goto done\nr3 = *(u32 *)(r0 +0)\ngoto again\ndone:\nr1 = r10\nr1 += -8\ncall kfunc bpf_iter_num_destroy\n${PASS}`,
  ],
  [
    'counts and does not end',
    `r1 = r10\nr1 += -8\nr2 = 0\nr3 = 10\ncall kfunc bpf_iter_num_new\nagain:\nr1 = r10\nr1 += -8\ncall kfunc bpf_iter_num_next\nif r0 == 0 goto done\ngoto again\ndone:\n${PASS}`,
  ],
  ['counts with nothing begun', `r1 = r10\nr1 += -8\ncall kfunc bpf_iter_num_next\n${PASS}`],
  [
    'reads a counter',
    `r1 = r10\nr1 += -8\nr2 = 0\nr3 = 10\ncall kfunc bpf_iter_num_new\nr3 = *(u64 *)(r10 -8)\nr1 = r10\nr1 += -8\ncall kfunc bpf_iter_num_destroy\n${PASS}`,
  ],
  [
    'counts to a bound and uses it',
    `r6 = 0\nr1 = r10\nr1 += -8\nr2 = 0\nr3 = 8\ncall kfunc bpf_iter_num_new\nagain:\nr1 = r10\nr1 += -8\ncall kfunc bpf_iter_num_next\nif r0 == 0 goto done\nr6 += 1\ngoto again\ndone:\nr1 = r10\nr1 += -8\ncall kfunc bpf_iter_num_destroy\n${PASS}`,
  ],
  [
    'begins to count where only speculation comes',
    `r6 = 0\nif r6 > 8 goto never\nr0 = 0\nexit\nnever:\nr7 = 0\nr1 = r10\nr1 += -8\nr2 = 2\nr3 = 1000\ncall kfunc bpf_iter_num_new\nagain:\nr1 = r10\nr1 += -8\ncall kfunc bpf_iter_num_next\nif r0 == 0 goto done\nr7 &= 7\ngoto again\ndone:\nr1 = r10\nr1 += -8\ncall kfunc bpf_iter_num_destroy\n${PASS}`,
  ],
  [
    'a CPU mask',
    `call kfunc bpf_cpumask_create\nif r0 == 0 goto out\nr1 = r0\ncall kfunc bpf_cpumask_release\nout:\n${PASS}`,
    tpBtf,
  ],
  ['a CPU mask that is lost', `call kfunc bpf_cpumask_create\n${PASS}`, tpBtf],
  ['calls what is no function', `call kernel-function#7\n${PASS}`],
  ['calls what is no function where nothing goes', `r0 = 0\nif r0 == 0 goto out\ncall kernel-function#7\nout:\n${PASS}`],
  ['calls a function that is missing', `call kernel-function#0\n${PASS}`],
  ['calls a function that is missing where nothing goes', `r0 = 0\nif r0 == 0 goto out\ncall kernel-function#0\nout:\n${PASS}`],
  [
    'a global function of an empty struct is given the context of a kprobe',
    `.func main ctx\nr2 = 1\ncall @g\n${PASS}\n.global g ctx int\n${PASS}`,
    { type: 'kprobe' },
  ],
  [
    'a global function of an empty struct is given the context of xdp',
    `.func main ctx\nr2 = 1\ncall @g\n${PASS}\n.global g ctx int\n${PASS}`,
    { type: 'xdp' },
  ],
  [
    'a global function of an empty struct is given the context of a tracepoint',
    `.func main ctx\nr2 = 1\ncall @g\n${PASS}\n.global g ctx int\n${PASS}`,
    { type: 'tracepoint' },
  ],
  ['throws', `r1 = 0\ncall kfunc bpf_throw\n${PASS}`],
];

const take = (kind: string, then: string): string =>
  `r1 = *(u64 *)(r1 +168)\nif r1 == 0 goto out\ncall bpf_skc_to_${kind}_sock\n${then}\nout:\n${PASS}`;
const SOCKETS: Row[] = ['tcp6', 'tcp', 'tcp_timewait', 'tcp_request', 'udp6', 'unix', 'mptcp'].flatMap((kind): Row[] => [
  [`taken for ${kind}`, take(kind, 'if r0 == 0 goto out\nr3 = *(u32 *)(r0 +0)')],
  [`taken for ${kind} without a check`, take(kind, 'r3 = *(u32 *)(r0 +0)')],
]);

const MAPS: Row[] = [
  ['reads a map', `r2 = map[array]\nr3 = *(u32 *)(r2 +24)\n${PASS}`],
  ['writes a map', `r2 = map[array]\n*(u32 *)(r2 +24) = 1\n${PASS}`],
  ['reads a map at an odd place', `r2 = map[array]\nr3 = *(u32 *)(r2 +1)\n${PASS}`],
  ['reads beyond a map', `r2 = map[array]\nr3 = *(u32 *)(r2 +100000)\n${PASS}`.replace('+100000', '+32000')],
  [
    'reads an inner map',
    `*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr1 = map[outer]\ncall bpf_map_lookup_elem\nif r0 == 0 goto out\nr3 = *(u32 *)(r0 +24)\nout:\n${PASS}`,
  ],
];

export const kernelTypes: readonly Case[] = [
  ...cases('tracing by BTF', TRACING),
  ...cases('iterators', ITER),
  ...cases('struct_ops', STRUCT_OPS),
  ...cases('kfuncs', KFUNCS),
  ...cases('sockets by BTF', SOCKETS),
  ...cases('maps by BTF', MAPS),
];
