/**
 * Expressions inside of one block. A node is pure, or a load; each has an upper bound on its significant bits, so that masks,
 * extensions and wide operations that change nothing are not emitted.
 */

import { OP } from '../wasm/op.ts';

/** Operations beside WebAssembly's own one-byte opcodes. */
export const NODE = {
  const: 0x100,
  /** Value of variable `k` at the start of the block. */
  variable: 0x101,
  /** Lowest address of the function's stack frame (i32). */
  frame: 0x102,
  /** The frame pointer of the function plus `k`, as u64. */
  frameAddress: 0x103,
  /** a ? b : c */
  select: 0x104,
  /** What an effect left in a local; where there is `c`, the value of `c`, which has a local by then. */
  result: 0x105,
  /** Byte swap of the low `k` bits of `a`, zero-extended. */
  bswap: 0x106,
  /** `b` is 0 ? c : a / b, with the WebAssembly opcode in `k`; -1 divisors of signed division answered too. */
  divide: 0x107,
} as const;

export class Node {
  readonly op: number;
  readonly wide: boolean;
  readonly a: Node | undefined;
  readonly b: Node | undefined;
  readonly c: Node | undefined;
  /** Constant (i32), variable, offset of an access … */
  readonly k: number;
  /** Constant (i64), unsigned. */
  readonly big: bigint;
  /** The value is below 2 ** bits. */
  readonly bits: number;
  /** Never 0. */
  readonly nonzero: boolean;
  readonly depth: number;
  /** References from what will be emitted. */
  uses = 0;
  /** Local that holds it once it is emitted, and the block that emitted it; -1 before, or where it is used in place. */
  local = -1;
  owner = -1;
  /** The same for other paths that emitted it for themselves. */
  elsewhere: { readonly owner: number; readonly local: number }[] | undefined = undefined;
  /** The last block behind whose end it was found to be needed. */
  liveAt = -1;
  /** Instruction that a load stands for. */
  insn = -1;
  /** An access that may trap and must not be dropped. */
  checked = false;
  /** The low half of this, once somebody asked for it: equal nodes must be the same to be recognised. */
  low: Node | undefined = undefined;

  constructor(op: number, wide: boolean, bits: number, a?: Node, b?: Node, c?: Node, k = 0, big = 0n, nonzero = false) {
    this.op = op;
    this.wide = wide;
    this.bits = bits;
    this.a = a;
    this.b = b;
    this.c = c;
    this.k = k;
    this.big = big;
    this.nonzero = nonzero;
    this.depth = op === NODE.result ? 1 : 1 + Math.max(a ? a.depth : 0, b ? b.depth : 0, c ? c.depth : 0);
  }
}

/** Significant bits of an unsigned 64-bit value. */
export function bitLength(value: bigint): number {
  const high = Number(value >> 32n);
  return high === 0 ? 32 - Math.clz32(Number(value)) : 64 - Math.clz32(high);
}

const small: readonly Node[] = Array.from(
  { length: 64 },
  (_, k) => new Node(NODE.const, false, 32 - Math.clz32(k), undefined, undefined, undefined, k),
);

/** Fresh nodes for constants, since `uses` and `local` belong to one block; constants never get a local. */
export function const32(k: number): Node {
  const value = k | 0;
  return value >= 0 && value < 64
    ? small[value]!
    : new Node(NODE.const, false, 32 - Math.clz32(value), undefined, undefined, undefined, value, 0n, value !== 0);
}

const LEAST_SMALL = -64;
const MOST_SMALL = 1024;
const smallWide: readonly Node[] = Array.from({ length: MOST_SMALL - LEAST_SMALL }, (_, index) =>
  newConst64(BigInt(index + LEAST_SMALL)),
);

/** A sign-extended int32 as an i64. */
export function constInt(value: number): Node {
  return value >= LEAST_SMALL && value < MOST_SMALL ? smallWide[value - LEAST_SMALL]! : newConst64(BigInt(value));
}

export function const64(value: bigint): Node {
  return value >= 0n && value < 1024n ? smallWide[Number(value) - LEAST_SMALL]! : newConst64(value);
}

function newConst64(value: bigint): Node {
  const big = BigInt.asUintN(64, value);
  return new Node(NODE.const, true, bitLength(big), undefined, undefined, undefined, 0, big, big !== 0n);
}

export const isConst = (node: Node): boolean => node.op === NODE.const;
/** Value of a constant, unsigned. */
export const valueOf = (node: Node): bigint => (node.wide ? node.big : BigInt(node.k >>> 0));
const constant = (wide: boolean, value: bigint): Node => (wide ? const64(value) : const32(Number(BigInt.asIntN(32, value))));

export function unary(op: number, wide: boolean, a: Node, bits: number, nonzero = false): Node {
  return new Node(op, wide, bits, a, undefined, undefined, 0, 0n, nonzero);
}

/** Frame pointer plus an offset, as a register holds it. */
export function frameAddress(offset: number): Node {
  return new Node(NODE.frameAddress, true, 32, undefined, undefined, undefined, offset, 0n, true);
}

/** Low 32 bits of an i64. */
export function wrap(x: Node): Node {
  if (isConst(x)) return const32(Number(BigInt.asIntN(32, x.big)));
  if (x.op === OP.i64_extend_i32_u || x.op === OP.i64_extend_i32_s) return x.a!;
  const narrow = NARROWED.get(x.op);
  // Only where an operand gets simpler by it: the machine's 64-bit operations cost the same.
  if (narrow !== undefined && (narrows(x.a!) || narrows(x.b!))) return arith(narrow, false, wrap(x.a!), wrap(x.b!));
  return (x.low ??= unary(OP.i32_wrap_i64, false, x, Math.min(32, x.bits), x.nonzero && x.bits <= 32));
}

const NARROWED: ReadonlyMap<number, Arith> = new Map([
  [OP.i64_add, 'add'],
  [OP.i64_sub, 'sub'],
  [OP.i64_and, 'and'],
  [OP.i64_or, 'or'],
  [OP.i64_xor, 'xor'],
  [OP.i64_mul, 'mul'],
]);
const narrows = (x: Node): boolean => x.op === OP.i64_extend_i32_u || x.op === OP.i64_extend_i32_s;

/** An i32, zero-extended. */
export function zeroExtend(x: Node): Node {
  if (isConst(x)) return const64(BigInt(x.k >>> 0));
  if (x.op === OP.i32_wrap_i64 && x.a!.bits <= 32) return x.a!;
  return unary(OP.i64_extend_i32_u, true, x, x.bits, x.nonzero);
}

/** An i32, sign-extended. */
export function signExtend(x: Node): Node {
  if (x.bits < 32) return zeroExtend(x);
  if (isConst(x)) return const64(BigInt(x.k));
  return unary(OP.i64_extend_i32_s, true, x, 64, x.nonzero);
}

/** The low `from` bits of `x`, sign-extended to the width of `x`. */
export function signExtendFrom(from: 8 | 16 | 32, x: Node): Node {
  if (x.bits < from) return x;
  if (isConst(x)) return constant(x.wide, BigInt.asIntN(from, valueOf(x)));
  if (from === 32) return signExtend(wrap(x));
  const op = from === 8 ? (x.wide ? OP.i64_extend8_s : OP.i32_extend8_s) : x.wide ? OP.i64_extend16_s : OP.i32_extend16_s;
  return unary(op, x.wide, x, x.wide ? 64 : 32);
}

/** The low `width` bits of `x`, zero-extended. */
export function truncate(x: Node, width: number): Node {
  if (x.bits <= width) return x;
  if (width === 32) return zeroExtend(wrap(x));
  return arith('and', x.wide, x, constant(x.wide, (1n << BigInt(width)) - 1n));
}

export type Arith = 'add' | 'sub' | 'mul' | 'and' | 'or' | 'xor' | 'shl' | 'shr_u' | 'shr_s';

const OPS: Readonly<Record<Arith, readonly [number, number]>> = {
  add: [OP.i32_add, OP.i64_add],
  sub: [OP.i32_sub, OP.i64_sub],
  mul: [OP.i32_mul, OP.i64_mul],
  and: [OP.i32_and, OP.i64_and],
  or: [OP.i32_or, OP.i64_or],
  xor: [OP.i32_xor, OP.i64_xor],
  shl: [OP.i32_shl, OP.i64_shl],
  shr_u: [OP.i32_shr_u, OP.i64_shr_u],
  shr_s: [OP.i32_shr_s, OP.i64_shr_s],
};

/** `x op y`, simplified. Shift amounts count modulo the width, as in WebAssembly. */
export function arith(op: Arith, wide: boolean, x: Node, y: Node): Node {
  if (isConst(x) && isConst(y)) return constant(wide, fold(op, wide, valueOf(x), valueOf(y)));
  if (isConst(x) && COMMUTES.has(op)) return arith(op, wide, y, x);
  if (isConst(y)) {
    const simple = withConstant(op, wide, x, y);
    if (simple) return simple;
  }
  if ((op === 'or' || op === 'add' || op === 'xor') && !isConst(y)) {
    const rotated = asRotate(wide, x, y);
    if (rotated) return rotated;
  }
  const nonzero = op === 'or' && (x.nonzero || y.nonzero);
  return new Node(OPS[op][wide ? 1 : 0], wide, bitsOf(op, wide, x, y), x, y, undefined, 0, 0n, nonzero);
}

/** An i64 sum as the part that varies and its constant. Only small constants are taken out: what is left of an address is one still. */
export function splitSum(x: Node, depth = 3): { readonly rest: Node; readonly constant: number } {
  if (x.op !== OP.i64_add || depth === 0) return { rest: x, constant: 0 };
  if (isConst(x.b!)) {
    const value = BigInt.asIntN(64, x.b!.big);
    if (value <= -MOST_OFFSET || value >= MOST_OFFSET) return { rest: x, constant: 0 };
    const { rest, constant } = splitSum(x.a!, depth - 1);
    return { rest, constant: constant + Number(value) };
  }
  const [left, right] = [splitSum(x.a!, depth - 1), splitSum(x.b!, depth - 1)];
  if (left.constant === 0 && right.constant === 0) return { rest: x, constant: 0 };
  return { rest: arith('add', true, left.rest, right.rest), constant: left.constant + right.constant };
}

const MOST_OFFSET = 32_768n;

const COMMUTES: ReadonlySet<Arith> = new Set(['add', 'mul', 'and', 'or', 'xor']);

function fold(op: Arith, wide: boolean, x: bigint, y: bigint): bigint {
  const width = wide ? 64 : 32;
  const amount = y & BigInt(width - 1);
  switch (op) {
    case 'add':
      return x + y;
    case 'sub':
      return x - y;
    case 'mul':
      return x * y;
    case 'and':
      return x & y;
    case 'or':
      return x | y;
    case 'xor':
      return x ^ y;
    case 'shl':
      return x << amount;
    case 'shr_u':
      return x >> amount;
    case 'shr_s':
      return BigInt.asIntN(width, x) >> amount;
  }
}

/** `x op constant` where there is something simpler, else undefined. */
function withConstant(op: Arith, wide: boolean, x: Node, y: Node): Node | undefined {
  const value = valueOf(y);
  const width = wide ? 64 : 32;
  switch (op) {
    case 'sub':
      return arith('add', wide, x, constant(wide, -value));
    case 'add':
      if (value === 0n) return x;
      if (x.op === NODE.frameAddress) return frameAddress(x.k + Number(BigInt.asIntN(32, value)));
      if (x.op === OPS.add[wide ? 1 : 0] && isConst(x.b!))
        return arith('add', wide, x.a!, constant(wide, value + valueOf(x.b!)));
      return undefined;
    case 'or':
    case 'xor':
      return value === 0n ? x : undefined;
    case 'and':
      if (value === 0n) return y;
      // A mask of low ones that covers all bits there are.
      if ((value & (value + 1n)) === 0n && y.bits >= x.bits) return x;
      if (wide && value === 0xffff_ffffn) return zeroExtend(wrap(x));
      if (x.op === OPS.and[wide ? 1 : 0] && isConst(x.b!))
        return arith('and', wide, x.a!, constant(wide, value & valueOf(x.b!)));
      return undefined;
    case 'mul':
      if (value === 0n) return y;
      if (value === 1n) return x;
      return (value & (value - 1n)) === 0n ? arith('shl', wide, x, constant(wide, BigInt(y.bits - 1))) : undefined;
    default:
      return shiftByConstant(op, wide, x, Number(value & BigInt(width - 1)));
  }
}

function shiftByConstant(op: 'shl' | 'shr_u' | 'shr_s', wide: boolean, x: Node, amount: number): Node | undefined {
  if (amount === 0) return x;
  if (op === 'shr_u' && x.bits <= amount) return constant(wide, 0n);
  if (op === 'shr_s' && x.bits < (wide ? 64 : 32)) return arith('shr_u', wide, x, constant(wide, BigInt(amount)));
  // Shift left and right by 32 is how old compilers extend.
  if (wide && amount === 32 && x.op === OP.i64_shl && isConst(x.b!) && (x.b!.big & 63n) === 32n) {
    return op === 'shr_u' ? truncate(x.a!, 32) : op === 'shr_s' ? signExtendFrom(32, x.a!) : undefined;
  }
  return undefined;
}

/** shl by c joined with shr_u of the same value by width - c is a rotation, which V8 does not see in 64 bits. */
function asRotate(wide: boolean, x: Node, y: Node): Node | undefined {
  const [shl, shr] = [OPS.shl[wide ? 1 : 0], OPS.shr_u[wide ? 1 : 0]];
  const [left, right] = x.op === shl ? [x, y] : [y, x];
  if (left.op !== shl || right.op !== shr || left.a !== right.a || !isConst(left.b!) || !isConst(right.b!)) return undefined;
  const width = wide ? 64 : 32;
  if (Number(valueOf(left.b!)) + Number(valueOf(right.b!)) !== width) return undefined;
  return new Node(wide ? OP.i64_rotl : OP.i32_rotl, wide, width, left.a, left.b);
}

function bitsOf(op: Arith, wide: boolean, x: Node, y: Node): number {
  const width = wide ? 64 : 32;
  const amount = isConst(y) ? Number(valueOf(y) & BigInt(width - 1)) : -1;
  switch (op) {
    case 'add':
      return Math.min(width, Math.max(x.bits, y.bits) + 1);
    case 'mul':
      return Math.min(width, x.bits + y.bits);
    case 'and':
      return Math.min(x.bits, y.bits);
    case 'or':
    case 'xor':
      return Math.max(x.bits, y.bits);
    case 'shl':
      return amount < 0 ? width : Math.min(width, x.bits + amount);
    case 'shr_u':
      return amount < 0 ? x.bits : Math.max(0, x.bits - amount);
    case 'shr_s':
      return x.bits < width ? x.bits : width;
    case 'sub':
      return width;
  }
}

/** Byte swap of the low `width` bits, zero-extended. */
export function bswap(x: Node, width: 16 | 32 | 64): Node {
  if (isConst(x)) return constant(x.wide, swapBytes(valueOf(x), width));
  if (x.op === NODE.bswap && x.k === width) return truncate(x.a!, width);
  return new Node(NODE.bswap, x.wide, width, x, undefined, undefined, width);
}

export function swapBytes(value: bigint, width: number): bigint {
  let result = 0n;
  for (let at = 0; at < width; at += 8) result = (result << 8n) | ((value >> BigInt(at)) & 0xffn);
  return result;
}

export function select(condition: Node, yes: Node, no: Node): Node {
  if (isConst(condition)) return condition.k !== 0 ? yes : no;
  return new Node(NODE.select, yes.wide, Math.max(yes.bits, no.bits), condition, yes, no, 0, 0n, yes.nonzero && no.nonzero);
}
