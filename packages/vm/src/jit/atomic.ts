/** Atomic instructions. One thread runs programs, so a load and a store are as atomic as a locked instruction, and cheaper. */

import type { AtomicOp, BpfInsn, Opcode, SizeBytes } from '@libbpf-ts/isa';

import type { BlockBuilder } from './block.ts';
import { compare } from './compare.ts';
import { arith, select, truncate } from './node.ts';
import type { Node } from './node.ts';

type Combine = (old: Node, operand: Node, expected: Node) => Node;

const combine: Readonly<Record<Exclude<AtomicOp, 'load_acquire' | 'store_release'>, Combine>> = {
  add: (old, operand) => arith('add', true, old, operand),
  fetch_add: (old, operand) => arith('add', true, old, operand),
  or: (old, operand) => arith('or', true, old, operand),
  fetch_or: (old, operand) => arith('or', true, old, operand),
  and: (old, operand) => arith('and', true, old, operand),
  fetch_and: (old, operand) => arith('and', true, old, operand),
  xor: (old, operand) => arith('xor', true, old, operand),
  fetch_xor: (old, operand) => arith('xor', true, old, operand),
  xchg: (_old, operand) => operand,
  cmpxchg: (old, operand, expected) => select(compare('jeq', old, expected), operand, old),
};

export function emitAtomic(builder: BlockBuilder, insn: BpfInsn, { op, size }: Extract<Opcode, { kind: 'atomic' }>): void {
  if (op === 'load_acquire') return builder.setReg(insn.dst_reg, builder.load(builder.reg(insn.src_reg), insn.off, size));
  const address = builder.reg(insn.dst_reg);
  const operand = builder.reg(insn.src_reg);
  if (op === 'store_release') return builder.store(address, insn.off, size, operand);
  const old = builder.load(address, insn.off, size);
  const expected = narrowed(builder.reg(0), size);
  builder.store(address, insn.off, size, combine[op](old, narrowed(operand, size), expected));
  if (op === 'cmpxchg') builder.setReg(0, old);
  else if (op === 'xchg' || op.startsWith('fetch_')) builder.setReg(insn.src_reg, old);
}

function narrowed(value: Node, size: SizeBytes): Node {
  return size === 8 ? value : truncate(value, size * 8);
}
