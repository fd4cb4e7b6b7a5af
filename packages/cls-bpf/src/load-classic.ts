/** Puts a classic filter into the runtime. It needs no verifier: the translation of a checked filter is safe by its making. */

import type { Kernel } from '@libbpf-ts/kernel';
import { skbPacketLoad } from '@libbpf-ts/net';
import type { ClassicInsn } from '@libbpf-ts/uapi';
import type { LoadedProgram } from '@libbpf-ts/vm';

import { checkClassic, convertClassic } from './classic.ts';

/** Throws EINVAL, EOPNOTSUPP. */
export function loadClassic(kernel: Kernel, ops: readonly ClassicInsn[]): LoadedProgram {
  checkClassic(ops);
  const insns = convertClassic(ops);
  return kernel.runtime.load({
    name: 'classic',
    insns,
    subprograms: [{ start: 0, end: insns.length }],
    fixups: { constants: new Map(), functions: new Map(), calls: new Map(), packetLoad: kernel.helperOf(skbPacketLoad) },
  });
}
