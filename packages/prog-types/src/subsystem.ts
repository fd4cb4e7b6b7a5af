/** The program types of this package as a subsystem: they load and are verified; nothing runs them. */

import type { Subsystem } from '@libbpf-ts/kernel';
import { PROG_TYPE_OPS } from './table.ts';

/**
 * Registers every program type of this package that no one registered before: install it last, and what a subsystem runs
 * keeps that subsystem's rules.
 */
export const progTypes: Subsystem = (kernel) => {
  for (const [type, verifier] of PROG_TYPE_OPS) {
    if (!kernel.progTypes.has(type)) kernel.progTypes.register(type, { type, name: verifier.name, verifier });
  }
};
