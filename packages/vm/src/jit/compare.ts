/** Conditions of jumps. */

import type { JumpOp } from '@libbpf-ts/isa';

import { OP } from '../wasm/op.ts';
import { arith, const32, const64, isConst, NODE, Node, swapBytes, unary, valueOf, wrap } from './node.ts';

/** By jump: WebAssembly's comparison for i32 and i64, and the jump that is taken in the opposite case. */
const COMPARE: Readonly<Record<JumpOp, { i32: number; i64: number; not: JumpOp | undefined }>> = {
  jeq: { i32: OP.i32_eq, i64: OP.i64_eq, not: 'jne' },
  jne: { i32: OP.i32_ne, i64: OP.i64_ne, not: 'jeq' },
  jgt: { i32: OP.i32_gt_u, i64: OP.i64_gt_u, not: 'jle' },
  jge: { i32: OP.i32_ge_u, i64: OP.i64_ge_u, not: 'jlt' },
  jlt: { i32: OP.i32_lt_u, i64: OP.i64_lt_u, not: 'jge' },
  jle: { i32: OP.i32_le_u, i64: OP.i64_le_u, not: 'jgt' },
  jsgt: { i32: OP.i32_gt_s, i64: OP.i64_gt_s, not: 'jsle' },
  jsge: { i32: OP.i32_ge_s, i64: OP.i64_ge_s, not: 'jslt' },
  jslt: { i32: OP.i32_lt_s, i64: OP.i64_lt_s, not: 'jsge' },
  jsle: { i32: OP.i32_le_s, i64: OP.i64_le_s, not: 'jsgt' },
  jset: { i32: OP.i32_and, i64: OP.i64_and, not: undefined },
};
const UNSIGNED: Readonly<Partial<Record<JumpOp, JumpOp>>> = { jsgt: 'jgt', jsge: 'jge', jslt: 'jlt', jsle: 'jle' };

const byOpcode: ReadonlyMap<number, JumpOp> = new Map(
  (Object.keys(COMPARE) as JumpOp[]).flatMap((op) =>
    op === 'jset'
      ? []
      : ([
          [COMPARE[op].i32, op],
          [COMPARE[op].i64, op],
        ] as [number, JumpOp][]),
  ),
);

/** An i32 that is 1 where the jump is taken, 0 where not; `jset` gives any i32 that is not 0 where it is taken. */
export function compare(op: JumpOp, x: Node, y: Node): Node {
  if (op === 'jset') return isTrue(arith('and', x.wide, x, y));
  if (isConst(x) && isConst(y)) return const32(holds(op, x, y) ? 1 : 0);
  if (x.wide) {
    const narrow = narrowed(op, x, y);
    if (narrow) return narrow;
  }
  const width = x.wide ? 64 : 32;
  // Two numbers without a sign compare alike, and V8 knows more of unsigned comparisons.
  const unsigned = x.bits < width && y.bits < width ? UNSIGNED[op] : undefined;
  if (op === 'jeq' || op === 'jne') return equality(op, x, y);
  return new Node(COMPARE[unsigned ?? op][x.wide ? 'i64' : 'i32'], false, 1, x, y);
}

/** The opposite of a condition. */
export function negate(condition: Node): Node {
  if (isConst(condition)) return const32(condition.k === 0 ? 1 : 0);
  if (condition.op === OP.i32_eqz && condition.a!.bits <= 1) return condition.a!;
  const op = byOpcode.get(condition.op);
  const not = op && COMPARE[op].not;
  if (not && condition.b) return new Node(COMPARE[not][condition.a!.wide ? 'i64' : 'i32'], false, 1, condition.a, condition.b);
  return unary(OP.i32_eqz, false, condition, 1);
}

/** 64-bit operands whose upper halves say nothing. */
function narrowed(op: JumpOp, x: Node, y: Node): Node | undefined {
  if (x.bits <= 32 && y.bits <= 32) return compare(UNSIGNED[op] ?? op, wrap(x), wrap(y));
  const signed = op.startsWith('js') || op === 'jeq' || op === 'jne';
  if (signed && fitsInt32(x) && fitsInt32(y)) return compare(op, wrap(x), wrap(y));
  return undefined;
}

function fitsInt32(x: Node): boolean {
  if (isConst(x)) return BigInt.asIntN(32, x.big) === BigInt.asIntN(64, x.big);
  return x.op === OP.i64_extend_i32_s || x.bits < 32;
}

function equality(op: 'jeq' | 'jne', x: Node, y: Node): Node {
  if (isConst(x) && !isConst(y)) return equality(op, y, x);
  if (isConst(y)) {
    const value = valueOf(y);
    if (y.bits > x.bits) return const32(op === 'jne' ? 1 : 0);
    if (value === 0n) return op === 'jne' ? isTrue(x) : isFalse(x);
    if (x.op === NODE.bswap) {
      // Comparing with the swapped constant saves the swap.
      const width = x.k;
      const plain = width === (x.wide ? 64 : 32) || x.a!.bits <= width ? x.a! : maskTo(x.a!, width);
      const swapped = swapBytes(value, width);
      return compare(op, plain, x.wide ? const64(swapped) : const32(Number(BigInt.asIntN(32, swapped))));
    }
  }
  return new Node(COMPARE[op][x.wide ? 'i64' : 'i32'], false, 1, x, y);
}

function maskTo(x: Node, width: number): Node {
  const mask = (1n << BigInt(width)) - 1n;
  return arith('and', x.wide, x, x.wide ? const64(mask) : const32(Number(mask) | 0));
}

/** An i32 that is not 0 exactly where `x` is not. */
function isTrue(x: Node): Node {
  if (isConst(x)) return const32(valueOf(x) !== 0n ? 1 : 0);
  if (x.nonzero) return const32(1);
  const known = asCondition(x);
  if (known) return known;
  if (x.wide) return x.bits <= 32 ? wrap(x) : new Node(OP.i64_ne, false, 1, x, const64(0n));
  return x;
}

function isFalse(x: Node): Node {
  if (isConst(x)) return const32(valueOf(x) === 0n ? 1 : 0);
  if (x.nonzero) return const32(0);
  const known = asCondition(x);
  if (known) return negate(known);
  if (x.wide) return x.bits <= 32 ? unary(OP.i32_eqz, false, wrap(x), 1) : unary(OP.i64_eqz, false, x, 1);
  return unary(OP.i32_eqz, false, x, 1);
}

/** The condition of a select between something and NULL: what an inlined lookup is. */
function asCondition(x: Node): Node | undefined {
  const inner = x.op === OP.i64_extend_i32_u || x.op === OP.i32_wrap_i64 ? x.a! : x;
  if (inner.op !== NODE.select || !isConst(inner.c!) || valueOf(inner.c!) !== 0n || !inner.b!.nonzero) return undefined;
  return inner.a!;
}

function holds(op: JumpOp, x: Node, y: Node): boolean {
  const width = x.wide ? 64 : 32;
  const [a, b] = [valueOf(x), valueOf(y)];
  const [s, t] = [BigInt.asIntN(width, a), BigInt.asIntN(width, b)];
  switch (op) {
    case 'jeq':
      return a === b;
    case 'jne':
      return a !== b;
    case 'jgt':
      return a > b;
    case 'jge':
      return a >= b;
    case 'jlt':
      return a < b;
    case 'jle':
      return a <= b;
    case 'jset':
      return (a & b) !== 0n;
    case 'jsgt':
      return s > t;
    case 'jsge':
      return s >= t;
    case 'jslt':
      return s < t;
    case 'jsle':
      return s <= t;
  }
}
