/** Every prototype, called rightly and with each argument wrong in turn, by a program type that has it. */

import { BPF_PROG_TYPE_NAMES } from '@libbpf-ts/uapi';
import type { BpfFuncProto } from '@libbpf-ts/verifier';
import * as rows from '@libbpf-ts/verifier/protos';
import { mapFitsHelper } from '../../src/map-compat.ts';
import { MAPS } from '../support/maps.ts';
import { factsOf, OPS } from '../support/program-types.ts';
import { cases } from './case-list.ts';
import type { Case, Row } from './case-list.ts';

const PROTOS = Object.values(rows).filter((row): row is BpfFuncProto => typeof row === 'object' && 'arg_types' in row);

/** Types to ask, those with the least needs first, with an attach type for which they load and a result that they may give. */
const HOSTS: readonly (readonly [type: string, attach: number, result: number, flags: number])[] = [
  ['sched_cls', 0, 0, 0],
  ['xdp', 0, 0, 0],
  ['socket_filter', 0, 0, 0],
  ['kprobe', 0, 0, 0],
  ['kprobe', 42, 0, 0],
  ['perf_event', 0, 0, 0],
  ['lwt_in', 0, 0, 0],
  ['lwt_xmit', 0, 0, 0],
  ['lwt_seg6local', 0, 0, 0],
  ['cgroup_skb', 0, 0, 0],
  ['cgroup_sock', 2, 0, 0],
  ['cgroup_sock_addr', 10, 0, 0],
  ['cgroup_sockopt', 22, 0, 0],
  ['cgroup_sysctl', 0, 0, 0],
  ['sock_ops', 0, 0, 0],
  ['sk_skb', 0, 0, 0],
  ['sk_msg', 0, 0, 0],
  ['sk_lookup', 36, 0, 0],
  ['sk_reuseport', 0, 0, 0],
  ['flow_dissector', 0, 0, 0],
  ['syscall', 0, 0, 16],
];

const NUMBERS = new Map([...BPF_PROG_TYPE_NAMES].map(([id, name]) => [name.replace('BPF_PROG_TYPE_', '').toLowerCase(), id]));

function hostOf(proto: BpfFuncProto): (typeof HOSTS)[number] | undefined {
  return HOSTS.find(([type, attach_type, , flags]) => {
    const prog_type = NUMBERS.get(type)!;
    const ops = OPS.get(prog_type)!;
    const facts = factsOf({ name: type, prog_type, attach_type, flags, attach_name: '', ops });
    return ops.funcProto(proto.id, facts) === proto && !(proto.might_sleep && !facts.sleepable);
  });
}

/** A map of the test set that the helper takes. */
function mapFor(id: number, type: string): string {
  return Object.entries(MAPS).find(([, spec]) => mapFitsHelper(spec.type, id, NUMBERS.get(type)!, 0))?.[0] ?? 'array';
}

const FRAME = Array.from({ length: 12 }, (_, index) => `*(u64 *)(r10 ${-8 * (index + 1)}) = 0`).join('\n');

/** Instructions that put a right argument into `reg`, or undefined where a plain program has none. */
function right(arg: string, reg: number, proto: BpfFuncProto, type: string): string | undefined {
  const base = arg.split(' | ')[0]!.replace('_OR_NULL', '');
  switch (base) {
    case 'ARG_ANYTHING':
      return `r${reg} = 0`;
    case 'ARG_PTR_TO_CTX':
      return `r${reg} = r6`;
    case 'ARG_CONST_MAP_PTR':
      return `r${reg} = map[${mapFor(proto.id, type)}]`;
    case 'ARG_CONST_SIZE':
    case 'ARG_CONST_SIZE_OR_ZERO':
    case 'ARG_CONST_ALLOC_SIZE_OR_ZERO':
      return `r${reg} = 8`;
    case 'ARG_PTR_TO_MAP_KEY':
    case 'ARG_PTR_TO_MAP_VALUE':
    case 'ARG_PTR_TO_MEM':
    case 'ARG_PTR_TO_UNINIT_MEM':
    case 'ARG_PTR_TO_FIXED_SIZE_MEM':
      return `r${reg} = r10\nr${reg} += -96`;
    case 'ARG_PTR_TO_STACK':
      return `r${reg} = 0`;
    case 'ARG_PTR_TO_CONST_STR':
      return `r${reg} = map[frozen][0]+8`;
    case 'ARG_PTR_TO_SOCK_COMMON':
    case 'ARG_PTR_TO_BTF_ID_SOCK_COMMON':
    case 'ARG_PTR_TO_SOCKET':
      return type === 'sched_cls' || type === 'cgroup_skb' ? `r${reg} = r7` : undefined;
    default:
      return undefined;
  }
}

const WRONG: readonly (readonly [string, (reg: number) => string])[] = [
  ['a number', (reg) => `r${reg} = 5`],
  ['NULL', (reg) => `r${reg} = 0`],
  ['the end of the stack', (reg) => `r${reg} = r10`],
  ['the context', (reg) => `r${reg} = r6`],
  ['a map', (reg) => `r${reg} = map[hash16]`],
  ['an unknown number', (reg) => `r${reg} = r8`],
];

function rowsOf(proto: BpfFuncProto): Row[] {
  const host = hostOf(proto);
  if (!host) return [];
  const [type, attach, result, flags] = host;
  const args = proto.arg_types.map((arg, index) => right(arg, index + 1, proto, type));
  const socket = args.some((arg) => arg?.includes('r7'));
  const start = `r6 = r1\n${FRAME}\ncall bpf_get_prandom_u32\nr8 = r0\n${socket ? `r7 = *(u64 *)(r6 +168)\nif r7 == 0 goto out\n` : ''}`;
  const end = `\ncall ${proto.id}\nout:\nr0 = ${result}\nexit`;
  const options = { type, attach, flags };
  const label = `${proto.name} in ${type}${attach ? ` ${attach}` : ''}`;
  const known = args.map((arg, index) => arg ?? `r${index + 1} = 0`);
  const build = (list: readonly string[]): string => start + list.join('\n') + end;
  return [
    [`${label}: called`, build(known), options],
    ...proto.arg_types.flatMap((_, index): Row[] => [
      ...WRONG.map(([what, make]): Row => [
        `${label}: argument ${index + 1} is ${what}`,
        build(known.map((arg, at) => (at === index ? make(index + 1) : arg))),
        options,
      ]),
      [`${label}: argument ${index + 1} is missing`, build(known.filter((__, at) => at !== index)), options],
    ]),
    [`${label}: without GPL`, build(known), { ...options, license: 'Proprietary' }],
  ];
}

export const prototypes: readonly Case[] = cases('prototypes', PROTOS.flatMap(rowsOf));
