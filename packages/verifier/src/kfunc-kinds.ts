/** What a pointer argument of a kernel function is, by its BTF and the suffix of its name (`get_kfunc_ptr_arg_type`). */

import { skipModifiers } from './btf-access.ts';
import type { Env } from './env.ts';
import type { KfuncMeta } from './kfunc-args.ts';
import type { Reg } from './register.ts';
import * as T from './regtype.ts';
import { isZero } from './stack.ts';
import type { BtfTypeView } from './types.ts';

export type PointerKind =
  | 'ctx'
  | 'null'
  | 'alloc'
  | 'refcounted'
  | 'dynptr'
  | 'iter'
  | 'list-head'
  | 'list-node'
  | 'rb-root'
  | 'rb-node'
  | 'string'
  | 'map'
  | 'workqueue'
  | 'task-work'
  | 'irq-flag'
  | 'res-lock'
  | 'object'
  | 'callback'
  | 'mem'
  | 'mem-size';

/** Types of registers that stand for a kernel struct without being BTF pointers (`reg2btf_ids`). */
export const STAND_INS: Readonly<Record<number, string>> = {
  [T.PTR_TO_SOCKET]: 'sock',
  [T.PTR_TO_SOCK_COMMON]: 'sock_common',
  [T.PTR_TO_TCP_SOCK]: 'tcp_sock',
  [T.CONST_PTR_TO_MAP]: 'bpf_map',
};

const CONTEXT_TAKERS: ReadonlySet<string> = new Set(['bpf_cast_to_kern_ctx', 'bpf_session_is_return', 'bpf_session_cookie']);
const BY_SUFFIX: readonly (readonly [string, PointerKind])[] = [
  ['__alloc', 'alloc'],
  ['__refcounted_kptr', 'refcounted'],
];
const BY_STRUCT: Readonly<Record<string, PointerKind>> = {
  bpf_dynptr: 'dynptr',
  bpf_list_head: 'list-head',
  bpf_list_node: 'list-node',
  bpf_rb_root: 'rb-root',
  bpf_rb_node: 'rb-node',
};
const LATE_STRUCT: Readonly<Record<string, PointerKind>> = {
  bpf_wq: 'workqueue',
  bpf_task_work: 'task-work',
  bpf_res_spin_lock: 'res-lock',
};
/** Contexts that a kernel function takes by the kernel's own name of the type. */
export const KERNEL_CONTEXTS: Readonly<Record<string, string>> = {
  __sk_buff: 'sk_buff',
  xdp_md: 'xdp_buff',
  bpf_sock_addr: 'bpf_sock_addr_kern',
  bpf_sock_ops: 'bpf_sock_ops_kern',
  bpf_sock: 'sock',
  bpf_sockopt: 'bpf_sockopt_kern',
  bpf_sysctl: 'bpf_sysctl_kern',
  bpf_sk_lookup: 'bpf_sk_lookup_kern',
  sk_msg_md: 'sk_msg',
  sk_reuseport_md: 'sk_reuseport_kern',
  bpf_perf_event_data: 'bpf_perf_event_data_kern',
};

export function pointerKind(env: Env, meta: KfuncMeta, i: number, reg: Reg, pointer: BtfTypeView): PointerKind {
  const btf = env.kernelBtf!;
  const { name } = meta.proto.params[i]!;
  const { row } = meta;
  const next = meta.proto.params[i + 1];
  const sized = next !== undefined && /__szk?$/.test(next.name) && env.reg(i + 2).type === T.SCALAR_VALUE;
  if (CONTEXT_TAKERS.has(row.name)) return 'ctx';
  const target = skipModifiers(btf, pointer.type);
  const struct = target.type?.kind === 'STRUCT' || target.type?.kind === 'FWD' ? target.type.name : '';
  const own = env.ops.contextStruct ?? '';
  if (struct !== '' && struct === own) return 'ctx';
  if (/__(nullable|opt)$/.test(name) && isZero(reg) && !sized && name.endsWith('__nullable')) return 'null';
  for (const [suffix, kind] of BY_SUFFIX) if (name.endsWith(suffix)) return kind;
  if (struct === 'bpf_dynptr') return 'dynptr';
  if (isIterArg(meta, i, struct)) return 'iter';
  const early = BY_STRUCT[struct];
  if (early) return early;
  if (name.endsWith('__str')) return 'string';
  if (name.endsWith('__map')) return 'map';
  const late = LATE_STRUCT[struct];
  if (late) return late;
  if (name.endsWith('__irq_flag')) return 'irq-flag';
  if (T.baseType(reg.type) === T.PTR_TO_BTF_ID || STAND_INS[T.baseType(reg.type)]) {
    if (target.type?.kind !== 'STRUCT' && target.type?.kind !== 'UNION') {
      env.refuse(
        'EINVAL',
        `kernel function ${row.name} args#${i} pointer type ${kindText(target.type)} ${target.type?.name ?? ''} is not supported`,
      );
    }
    return 'object';
  }
  if (target.type?.kind === 'FUNC_PROTO') return 'callback';
  const isVoid = target.type === undefined || target.type.kind === 'UNKN';
  if (!isPlain(env, pointer.type, 0) && !(sized && isVoid)) {
    env.refuse(
      'EINVAL',
      `arg#${i} pointer type ${kindText(target.type)} ${target.type?.name || (isVoid ? 'void' : '')} must point to ${sized ? 'void, ' : ''}scalar, or struct with scalar`,
    );
  }
  return sized ? 'mem-size' : 'mem';
}

/** A kind of type as the kernel's log names it. */
export const kindText = (type: BtfTypeView | undefined): string => (!type || type.kind === 'UNKN' ? 'UNKNOWN' : type.kind);

function isIterArg(meta: KfuncMeta, i: number, struct: string): boolean {
  const { name } = meta.proto.params[i]!;
  const isIter = ['KF_ITER_NEW', 'KF_ITER_NEXT', 'KF_ITER_DESTROY'].some((flag) => meta.row.flags.includes(flag));
  return struct.startsWith('bpf_iter_') && ((isIter && i === 0) || name.endsWith('__iter'));
}

/** Numbers, and structs and arrays of nothing else (`__btf_type_is_scalar_struct`). */
function isPlain(env: Env, id: number, depth: number): boolean {
  return isPlainType(env.kernelBtf!, id, depth);
}

export function isPlainType(btf: { type(id: number): BtfTypeView | undefined }, id: number, depth: number): boolean {
  const { type } = skipModifiers(btf as Parameters<typeof skipModifiers>[0], id);
  switch (type?.kind) {
    case 'INT':
    case 'ENUM':
    case 'ENUM64':
      return true;
    case 'ARRAY':
      return depth > 0 && isPlainType(btf, type.type, depth);
    case 'STRUCT':
    case 'UNION':
      return depth < 4 && type.members.every((member) => isPlainType(btf, member.type, depth + 1));
    default:
      return false;
  }
}
