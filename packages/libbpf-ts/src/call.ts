/** bpf(2) for the classes of this package: a refusal becomes a {@link BpfError} that says what was asked. */

import type { BpfAttr, BpfCmdNumber, Syscalls } from '@libbpf-ts/uapi';
import { BpfError, commandName, type BpfErrorOptions } from './errors.ts';
import type { Reason } from './why.ts';

/** Why a kernel refused its last call, where it can tell: the in-process kernel can, Linux cannot. */
interface ExplainingSyscalls {
  readonly lastError?: { readonly detail?: string; readonly argument?: string | undefined } | undefined;
}

const HINTS: Readonly<Record<number, string>> = {
  1: 'this needs privileges (CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON or root)',
  116: 'the hook has changed; query it again and retry with its revision',
};

/** Issues a command; returns its result, or throws {@link BpfError}. `what` completes the sentence "BPF_MAP_CREATE …". */
export function call<C extends BpfCmdNumber>(
  sys: Syscalls,
  cmd: C,
  attr: BpfAttr<C>,
  what: string,
  options: RefusalOptions = {},
): number {
  const result = sys.bpf(cmd, attr);
  if (result >= 0) return result;
  throw refusal(sys, result, commandName(cmd), what, options);
}

export interface RefusalOptions extends BpfErrorOptions {
  /** The failed check, by errno, for kernels that do not tell it. */
  readonly why?: ((errno: number) => Reason | undefined) | undefined;
}

/** The error for a result below zero, with the kernel's own words where it gives them. */
export function refusal(sys: Syscalls, result: number, syscall: string, what: string, options: RefusalOptions = {}): BpfError {
  const told = (sys as ExplainingSyscalls).lastError;
  const guess = told ? undefined : options.why?.(result);
  const detail = [what, told?.detail ?? guess?.words].filter((part) => part).join(': ');
  return new BpfError(result, syscall, detail, {
    arg: options.arg ?? told?.argument ?? guess?.arg,
    hint: options.hint ?? HINTS[-result],
  });
}
