/** Fields of a map value that the kernel manages, accessed by load and store; and reads of `struct bpf_map` itself. */

import { walkStruct } from './btf-access.ts';
import type { Env } from './env.ts';
import type { Access } from './memory.ts';
import type { Reg } from './register.ts';
import { accessKptr } from './kptrs.ts';
import { isConstOffset } from './stack.ts';

const KPTRS: ReadonlySet<string> = new Set(['BPF_KPTR_UNREF', 'BPF_KPTR_REF', 'BPF_KPTR_PERCPU', 'BPF_UPTR']);

/** True where the access is of a kernel pointer in the value, and was judged here. */
export function checkFieldAccess(env: Env, reg: Reg, access: Access, off: number): boolean {
  const field = isConstOffset(reg)
    ? reg.map!.record?.find((row) => KPTRS.has(row.type) && row.offset === off + reg.vl)
    : undefined;
  if (!field) return false;
  accessKptr(env, access, field);
  return true;
}

/** Structs that maps are, by type; `bpf_map` where a map type has no struct of its own here. */
const MAP_STRUCTS: Readonly<Record<number, string>> = {
  1: 'bpf_htab',
  2: 'bpf_array',
  5: 'bpf_htab',
  6: 'bpf_array',
  9: 'bpf_htab',
  10: 'bpf_htab',
};

/** A load through a map pointer reads the map's own struct, for the privileged. */
export function accessMapPointer(env: Env, reg: Reg, access: Access, off: number): void {
  const { regno, size, write, value } = access;
  if (!env.kernelBtf) env.refuse('ENOTSUPP', 'map_ptr access not supported without CONFIG_DEBUG_INFO_BTF');
  const struct = MAP_STRUCTS[reg.map!.map_type] ?? 'bpf_map';
  if (!env.allowPtrLeaks) env.refuse('EPERM', `'struct ${struct}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN`);
  if (off < 0) env.refuse('EACCES', `R${regno} is ${struct} invalid negative access: off=${off}`);
  if (write) env.refuse('EACCES', `only read from ${struct} is supported`);
  const id = env.kernelBtf!.find(struct, 'STRUCT');
  if (id === 0) env.unsupported(`reads of struct ${struct}`);
  walkStruct(env, env.kernelBtf!, id, off, size, value, 0);
}
