/** Arithmetic of the opcode table as nodes. `x` and `y` are i64 where `wide`, else i32; so is the result. */

import type { AluOp, EndOp } from '@libbpf-ts/isa';

import { OP } from '../wasm/op.ts';
import {
  arith,
  bswap,
  const32,
  const64,
  isConst,
  NODE,
  Node,
  signExtendFrom,
  truncate,
  valueOf,
  wrap,
  zeroExtend,
} from './node.ts';
import type { Arith } from './node.ts';

type Emit = (wide: boolean, x: Node, y: Node) => Node;

const plain =
  (op: Arith): Emit =>
  (wide, x, y) =>
    arith(op, wide, x, y);
const zero = (wide: boolean): Node => (wide ? const64(0n) : const32(0));

export const alu: Readonly<Record<AluOp, Emit>> = {
  add: plain('add'),
  sub: plain('sub'),
  mul: plain('mul'),
  and: plain('and'),
  or: plain('or'),
  xor: (wide, x, y) => (x === y ? zero(wide) : arith('xor', wide, x, y)),
  lsh: plain('shl'),
  rsh: plain('shr_u'),
  arsh: plain('shr_s'),
  neg: (wide, x) => arith('sub', wide, zero(wide), x),
  mov: (_wide, _x, y) => y,
  movsx8: (_wide, _x, y) => signExtendFrom(8, y),
  movsx16: (_wide, _x, y) => signExtendFrom(16, y),
  movsx32: (_wide, _x, y) => signExtendFrom(32, y),
  // There is one address space here: the low half is the address in both.
  addr_space_cast: (_wide, _x, y) => truncate(y, 32),
  div: (wide, x, y) => unsigned('div', wide, x, y),
  mod: (wide, x, y) => unsigned('mod', wide, x, y),
  sdiv: (wide, x, y) => signed('sdiv', wide, x, y),
  smod: (wide, x, y) => signed('smod', wide, x, y),
};

/** Division where 0 as divisor gives 0, and the remainder by 0 is the dividend. */
function unsigned(op: 'div' | 'mod', wide: boolean, x: Node, y: Node): Node {
  if (wide && x.bits <= 32 && y.bits <= 32) return zeroExtend(unsigned(op, false, wrap(x), wrap(y)));
  if (isConst(y)) {
    const divisor = valueOf(y);
    if (divisor === 0n) return op === 'div' ? zero(wide) : x;
    if ((divisor & (divisor - 1n)) === 0n) {
      const k = wide ? const64 : (value: bigint): Node => const32(Number(BigInt.asIntN(32, value)));
      return op === 'div' ? arith('shr_u', wide, x, k(BigInt(y.bits - 1))) : arith('and', wide, x, k(divisor - 1n));
    }
  }
  const code = op === 'div' ? (wide ? OP.i64_div_u : OP.i32_div_u) : wide ? OP.i64_rem_u : OP.i32_rem_u;
  const bits = op === 'div' ? x.bits : Math.min(x.bits, y.bits === 0 ? 64 : Math.max(y.bits, 1));
  if (y.nonzero) return new Node(code, wide, bits, x, y);
  return new Node(NODE.divide, wide, op === 'div' ? x.bits : x.bits, x, y, op === 'div' ? zero(wide) : x, code);
}

function signed(op: 'sdiv' | 'smod', wide: boolean, x: Node, y: Node): Node {
  const code = op === 'sdiv' ? (wide ? OP.i64_div_s : OP.i32_div_s) : wide ? OP.i64_rem_s : OP.i32_rem_s;
  const width = wide ? 64 : 32;
  if (isConst(y)) {
    const divisor = BigInt.asIntN(width, valueOf(y));
    if (divisor === 0n) return op === 'sdiv' ? zero(wide) : x;
    if (divisor === -1n) return op === 'sdiv' ? arith('sub', wide, zero(wide), x) : zero(wide);
    return new Node(code, wide, width, x, y);
  }
  return new Node(NODE.divide, wide, width, x, y, op === 'sdiv' ? zero(wide) : x, code);
}

/** Byte order: the whole register in and out. */
export const end: Readonly<Record<EndOp, (x: Node, width: 16 | 32 | 64) => Node>> = {
  le: (x, width) => truncate(x, width),
  be: swap,
  bswap: swap,
};

function swap(x: Node, width: 16 | 32 | 64): Node {
  return width === 64 ? bswap(x, 64) : zeroExtend(bswap(wrap(x), width));
}
