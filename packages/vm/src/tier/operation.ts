/** The first tier's own numbering of what instructions do, and the code of each: one `br_table` finds it. */

import { ATOMIC, OPCODES } from '@libbpf-ts/isa';
import type { Opcode, OpcodeKind } from '@libbpf-ts/isa';

import { alu, end, jump } from './arithmetic.ts';
import * as call from './call.ts';
import type { Handler } from './handler.ts';
import { atomic, load, store } from './memory.ts';
import type { Access } from './memory.ts';

type Of<Kind extends OpcodeKind> = Extract<Opcode, { kind: Kind }>;

/** The code of each kind of instruction. A kind without a line here, or an operation without a row in `arithmetic.ts`, does not compile. */
const write: { readonly [Kind in OpcodeKind]: (handler: Handler, opcode: Of<Kind>, access: Access) => void } = {
  alu(handler, { op, bits, source }) {
    const { reads, write: compute } = alu[op];
    const wide = bits === 64;
    handler.place();
    if (reads !== 'b') handler.dst(wide);
    if (reads !== 'a') handler.operand(source, wide);
    compute(handler, wide);
    if (wide) handler.store64();
    else handler.store32();
    handler.advance();
  },
  end(handler, { op, width }) {
    end[op](handler.place().dst(true), width);
    handler.store64();
    handler.advance();
  },
  jump(handler, { op, bits, source }) {
    const wide = bits === 64;
    handler
      .dstField(wide)
      .operand(source, wide)
      .code.op(...jump[op][wide ? 1 : 0]);
    handler.if().jump();
    handler.end().advance();
  },
  goto: (handler) => handler.jump(),
  may_goto: call.mayGoto,
  call(handler, { target }) {
    if (target === 'subprogram') call.callSubprogram(handler);
    else if (target === 'register') call.callRegister(handler);
    else call.helper(handler);
  },
  exit: call.exit,
  load: (handler, { size, signed }, access) => load(handler, size, signed, access),
  store: (handler, { size, source }, access) => store(handler, size, source, access),
  atomic: (handler, { op, size }, access) => atomic(handler, op, size as 4 | 8, ATOMIC[op].fetch, access),
  ld_imm64(handler) {
    handler.place().imm(true).store64();
    handler.advance(2);
  },
  ld_packet: (handler, { mode, size }) => call.packetLoad(handler, mode, size),
};

export type OwnOperation = 'trap' | 'lookup' | 'lookup_array' | 'tail_call' | 'smp_processor_id' | 'loop';

/** What no opcode by itself is: helpers whose work is done here, and what does not run. */
const OWN: Readonly<Record<OwnOperation, (handler: Handler) => void>> = {
  trap: call.unreachable,
  lookup: call.lookup,
  lookup_array: call.lookupArray,
  tail_call: call.tailCall,
  smp_processor_id: call.currentCpu,
  loop: call.loop,
};

interface Operation {
  readonly access: Access;
  readonly write: (handler: Handler) => void;
}

const own = Object.keys(OWN) as OwnOperation[];
const opcodes = OPCODES.flatMap((row) => row?.variants ?? []).map(({ opcode }) => opcode);
const accesses = (access: 'frame' | 'probe', kinds: readonly OpcodeKind[]): (readonly [Opcode, Access])[] =>
  opcodes.filter(({ kind }) => kinds.includes(kind)).map((opcode) => [opcode, access]);
const variants: readonly (readonly [Opcode, Access])[] = [
  ...opcodes.map((opcode) => [opcode, 'plain'] as const),
  ...accesses('frame', ['load', 'store', 'atomic']),
  ...accesses('probe', ['load']),
];

/** Every operation by its number; 0 is `trap`. */
export const OPERATIONS: readonly Operation[] = [
  ...own.map((name): Operation => ({ access: 'plain', write: OWN[name] })),
  ...variants.map(([opcode, access]): Operation => ({
    access,
    write: (handler) =>
      (write[opcode.kind] as (handler: Handler, opcode: Opcode, access: Access) => void)(handler, opcode, access),
  })),
];

const NUMBERS: Readonly<Record<Access, ReadonlyMap<Opcode, number>>> = {
  plain: numbers('plain'),
  frame: numbers('frame'),
  probe: numbers('probe'),
};

function numbers(wanted: Access): ReadonlyMap<Opcode, number> {
  return new Map(variants.flatMap(([opcode, access], index) => (access === wanted ? [[opcode, own.length + index]] : [])));
}

/** The number of an opcode's operation, or of a variant of it. */
export function operationOf(opcode: Opcode, access: Access = 'plain'): number {
  return NUMBERS[access].get(opcode)!;
}
export function ownOperation(name: OwnOperation): number {
  return own.indexOf(name);
}
