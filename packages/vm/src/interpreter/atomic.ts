/** Atomic instructions. One thread runs programs, so a load and a store are as atomic as a locked instruction. */

import { ATOMIC } from '@libbpf-ts/isa';
import type { AtomicOp } from '@libbpf-ts/isa';

type Op = Exclude<AtomicOp, 'load_acquire' | 'store_release'>;
type Plain = 'add' | 'or' | 'and' | 'xor' | 'xchg' | 'cmpxchg';

/** What goes into memory. */
const operation: Readonly<Record<Op, Plain>> = {
  add: 'add',
  or: 'or',
  and: 'and',
  xor: 'xor',
  fetch_add: 'add',
  fetch_or: 'or',
  fetch_and: 'and',
  fetch_xor: 'xor',
  xchg: 'xchg',
  cmpxchg: 'cmpxchg',
};
const byImmediate: ReadonlyMap<number, { readonly op: Plain; readonly fetch: boolean }> = new Map(
  (Object.keys(operation) as Op[]).map((op) => [ATOMIC[op].imm, { op: operation[op], fetch: ATOMIC[op].fetch }]),
);

function combine(op: Plain, old: number, operand: number): number {
  switch (op) {
    case 'add':
      return (old + operand) | 0;
    case 'or':
      return old | operand;
    case 'and':
      return old & operand;
    case 'xor':
      return old ^ operand;
    default:
      return operand;
  }
}

/** `regs[s]` is the operand, and gets the old value of fetching forms; r0 that of cmpxchg. */
export function atomic4(imm: number, regs: Int32Array, s: number, view: DataView, address: number): void {
  const { op, fetch } = byImmediate.get(imm)!;
  const old = view.getInt32(address, true);
  if (op !== 'cmpxchg' || old === regs[0]) view.setInt32(address, combine(op, old, regs[s]!), true);
  if (!fetch) return;
  const result = op === 'cmpxchg' ? 0 : s;
  regs[result] = old;
  regs[result + 1] = 0;
}

export function atomic8(imm: number, regs: Int32Array, s: number, view: DataView, address: number): void {
  const { op, fetch } = byImmediate.get(imm)!;
  const low = view.getInt32(address, true);
  const high = view.getInt32(address + 4, true);
  if (op !== 'cmpxchg' || (low === regs[0] && high === regs[1])) {
    const newLow = combine(op, low, regs[s]!);
    const carry = op === 'add' && newLow >>> 0 < low >>> 0 ? 1 : 0;
    view.setInt32(address + 4, combine(op, high, regs[s + 1]!) + carry, true);
    view.setInt32(address, newLow, true);
  }
  if (!fetch) return;
  const result = op === 'cmpxchg' ? 0 : s;
  regs[result] = low;
  regs[result + 1] = high;
}
