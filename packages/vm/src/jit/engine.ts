/** The JIT as an engine: eBPF to one WebAssembly module a program. */

import type { Engine } from '../engine.ts';
import { VmError } from '../errors.ts';

export const jitEngine: Engine = {
  name: 'jit',
  prepare(program) {
    throw new VmError('unsupported', program.name, 'the JIT is not built yet');
  },
};
