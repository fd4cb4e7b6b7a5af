/** Which kernel's types an object is resolved against. */

import type { Io } from './io.ts';

const HOST = '/sys/kernel/btf/vmlinux';

/** The BTF file named by `--btf`; without one that of the running kernel, where there is one; `none` for neither. */
export function kernelBtfOf(given: string | undefined, io: Io): { readonly kernelBtf?: Uint8Array } {
  if (given === 'none') return {};
  if (given !== undefined) return { kernelBtf: io.read(given) };
  return io.exists(HOST) ? { kernelBtf: io.read(HOST) } : {};
}
