/** BPF_PROG_QUERY of a hook. Mirrors bpf_mprog_query. */

import type { BpfCall } from '@libbpf-ts/kernel';
import { KernelError } from '@libbpf-ts/uapi';

import type { HookList } from './hook.ts';
import { emptyList } from './list.ts';

const u32s = (values: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);

/** Answers for a hook; `undefined` is one that nobody has touched. Throws EINVAL, EFAULT, and ENOSPC after a cut answer was written. */
export function answerQuery(call: BpfCall<16>, list: HookList = emptyList()): void {
  const { attr } = call;
  if (attr.query_flags !== 0 || attr.attach_flags !== 0)
    throw new KernelError('EINVAL', 'this hook knows no query flags', 'query_flags');
  const { items, revision } = list;
  call.put('attach_flags', 0);
  call.put('revision', revision);
  call.put('count', items.length);
  if (attr.count === 0 || attr.prog_ids === 0n || items.length === 0) return;
  const shown = items.slice(0, attr.count);
  const flags = (linked: boolean): Uint8Array =>
    u32s(shown.map(({ link, bound = 0 }) => ((link !== null) === linked ? bound : 0)));
  call.write(attr.prog_ids, u32s(shown.map(({ prog }) => prog.id)), 'prog_ids');
  if (attr.prog_attach_flags !== 0n) call.write(attr.prog_attach_flags, flags(false), 'prog_attach_flags');
  if (attr.link_ids !== 0n) call.write(attr.link_ids, u32s(shown.map(({ link }) => link?.id ?? 0)), 'link_ids');
  if (attr.link_attach_flags !== 0n) call.write(attr.link_attach_flags, flags(true), 'link_attach_flags');
  if (attr.count < items.length) throw new KernelError('ENOSPC', `room for ${attr.count} of ${items.length} programs`, 'count');
}
