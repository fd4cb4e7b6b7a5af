/** The interpreter's own numbering of what instructions do: dense, with variants told apart, so that one `switch` finds each. */

import { OPCODES } from '@libbpf-ts/isa';
import type { Opcode, OpcodeKind } from '@libbpf-ts/isa';

type NameOf = { readonly [K in OpcodeKind]: (opcode: Extract<Opcode, { kind: K }>) => string };

/** A name for each operation; opcodes that do the same share one. A kind without a line here does not compile. */
const NAME: NameOf = {
  alu: ({ op, bits, source }) => `${op}${bits}${source}`,
  end: ({ op, width }) => `${op}${width}`,
  jump: ({ op, bits, source }) => `${op}${bits}${source}`,
  goto: () => 'goto',
  may_goto: () => 'may_goto',
  call: ({ target }) => (target === 'subprogram' || target === 'register' ? `call_${target}` : 'call_helper'),
  exit: () => 'exit',
  load: ({ size, signed }) => `load${signed ? 's' : 'u'}${size}`,
  store: ({ size, source }) => `store${size}${source}`,
  // One thread: acquiring loads and releasing stores are loads and stores.
  atomic: ({ op, size }) =>
    op === 'load_acquire' ? `loadu${size}` : op === 'store_release' ? `store${size}x` : `atomic${size}`,
  ld_imm64: () => 'ld_imm64',
  ld_packet: () => 'ld_packet',
};

export function operationName(opcode: Opcode): string {
  return (NAME[opcode.kind] as (opcode: Opcode) => string)(opcode);
}

export interface Operation {
  readonly number: number;
  readonly name: string;
  /** The first opcode of the table that has this operation. */
  readonly opcode: Opcode;
}

/** Every operation, in the order of the opcode table. */
export function operations(): Operation[] {
  const found = new Map<string, Operation>();
  const variants = OPCODES.flatMap((row) => row?.variants ?? []);
  // Loads and stores proper come before the atomics that share their operation.
  for (const { opcode } of [...variants.filter(({ opcode }) => opcode.kind !== 'atomic'), ...variants]) {
    const name = operationName(opcode);
    if (!found.has(name)) found.set(name, { number: found.size, name, opcode });
  }
  return [...found.values()];
}
