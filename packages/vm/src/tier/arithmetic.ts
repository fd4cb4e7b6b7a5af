/** Arithmetic and comparisons of the opcode table as WebAssembly. */

import type { AluOp, EndOp, JumpOp } from '@libbpf-ts/isa';

import { I32, I64, OP } from '../wasm/op.ts';
import type { Handler } from './handler.ts';
import { LOCAL } from './handler.ts';

export interface AluCode {
  /** Which operands it finds on the stack: dst, src or the immediate, or both in this order. */
  readonly reads: 'a' | 'b' | 'ab';
  /** Leaves the result, i64 where `wide`, else i32. */
  readonly write: (handler: Handler, wide: boolean) => void;
}

const plain = (narrow: number, wide: number): AluCode => ({
  reads: 'ab',
  write: ({ code }, is64) => void code.op(is64 ? wide : narrow),
});
const extend = (narrow: number, wide: number): AluCode => ({
  reads: 'b',
  write: ({ code }, is64) => void code.op(is64 ? wide : narrow),
});

export const alu: Readonly<Record<AluOp, AluCode>> = {
  add: plain(OP.i32_add, OP.i64_add),
  sub: plain(OP.i32_sub, OP.i64_sub),
  mul: plain(OP.i32_mul, OP.i64_mul),
  or: plain(OP.i32_or, OP.i64_or),
  and: plain(OP.i32_and, OP.i64_and),
  xor: plain(OP.i32_xor, OP.i64_xor),
  lsh: plain(OP.i32_shl, OP.i64_shl),
  rsh: plain(OP.i32_shr_u, OP.i64_shr_u),
  arsh: plain(OP.i32_shr_s, OP.i64_shr_s),
  mov: { reads: 'b', write: () => undefined },
  movsx8: extend(OP.i32_extend8_s, OP.i64_extend8_s),
  movsx16: extend(OP.i32_extend16_s, OP.i64_extend16_s),
  movsx32: { reads: 'b', write: ({ code }, wide) => void (wide ? code.op(OP.i64_extend32_s) : code) },
  // There is one address space here: the low half is the address in both.
  addr_space_cast: {
    reads: 'b',
    write: ({ code }, wide) => void (wide ? code.op(OP.i32_wrap_i64, OP.i64_extend_i32_u) : code),
  },
  neg: {
    reads: 'a',
    write: ({ code }, wide) =>
      void (wide ? code.i64(-1n).op(OP.i64_xor).i64(1n).op(OP.i64_add) : code.i32(-1).op(OP.i32_xor).i32(1).op(OP.i32_add)),
  },
  div: unsignedDivision('div'),
  mod: unsignedDivision('mod'),
  sdiv: {
    reads: 'ab',
    write(handler, wide) {
      const { code } = handler;
      const [a, b, type] = takeOperands(handler, wide);
      const constant = (value: number): unknown => (wide ? code.i64(BigInt(value)) : code.i32(value));
      code.get(b).op(wide ? OP.i64_eqz : OP.i32_eqz);
      handler.if(type);
      constant(0);
      handler.else();
      // The most negative number by -1 would trap; BPF says it stays as it is.
      code.get(b);
      constant(-1);
      code.op(wide ? OP.i64_eq : OP.i32_eq);
      handler.if(type);
      constant(0);
      code.get(a).op(wide ? OP.i64_sub : OP.i32_sub);
      handler.else();
      code
        .get(a)
        .get(b)
        .op(wide ? OP.i64_div_s : OP.i32_div_s);
      handler.end().end();
    },
  },
  smod: {
    reads: 'ab',
    write(handler, wide) {
      const [a, b, type] = takeOperands(handler, wide);
      handler.code.get(b).op(wide ? OP.i64_eqz : OP.i32_eqz);
      handler.if(type).code.get(a);
      handler
        .else()
        .code.get(a)
        .get(b)
        .op(wide ? OP.i64_rem_s : OP.i32_rem_s);
      handler.end();
    },
  },
};

/** Division where 0 as divisor gives 0, and the remainder by 0 is the dividend. */
function unsignedDivision(op: 'div' | 'mod'): AluCode {
  return {
    reads: 'ab',
    write(handler, wide) {
      const { code } = handler;
      const [a, b, type] = takeOperands(handler, wide);
      code.get(b).op(wide ? OP.i64_eqz : OP.i32_eqz);
      handler.if(type);
      if (op === 'mod') code.get(a);
      else if (wide) code.i64(0n);
      else code.i32(0);
      handler.else();
      code.get(a).get(b);
      if (op === 'div') code.op(wide ? OP.i64_div_u : OP.i32_div_u);
      else code.op(wide ? OP.i64_rem_u : OP.i32_rem_u);
      handler.end();
    },
  };
}

/** The two operands go into locals. */
function takeOperands({ code }: Handler, wide: boolean): [a: number, b: number, type: typeof I32 | typeof I64] {
  const [a, b] = wide ? [LOCAL.a, LOCAL.b] : [LOCAL.x, LOCAL.y];
  code.set(b).set(a);
  return [a, b, wide ? I64 : I32];
}

/** Compares two operands on the stack: i32 and i64. `jset` is not 0 where it jumps. */
export const jump: Readonly<Record<JumpOp, readonly [narrow: readonly number[], wide: readonly number[]]>> = {
  jeq: [[OP.i32_eq], [OP.i64_eq]],
  jgt: [[OP.i32_gt_u], [OP.i64_gt_u]],
  jge: [[OP.i32_ge_u], [OP.i64_ge_u]],
  jset: [[OP.i32_and], [OP.i64_and, OP.i64_eqz, OP.i32_eqz]],
  jne: [[OP.i32_ne], [OP.i64_ne]],
  jsgt: [[OP.i32_gt_s], [OP.i64_gt_s]],
  jsge: [[OP.i32_ge_s], [OP.i64_ge_s]],
  jlt: [[OP.i32_lt_u], [OP.i64_lt_u]],
  jle: [[OP.i32_le_u], [OP.i64_le_u]],
  jslt: [[OP.i32_lt_s], [OP.i64_lt_s]],
  jsle: [[OP.i32_le_s], [OP.i64_le_s]],
};

/** Byte order: an i64 on the stack. */
export const end: Readonly<Record<EndOp, (handler: Handler, width: 16 | 32 | 64) => void>> = {
  le({ code }, width) {
    if (width < 64) code.i64((1n << BigInt(width)) - 1n).op(OP.i64_and);
  },
  be: swap,
  bswap: swap,
};

function swap({ code }: Handler, width: 16 | 32 | 64): void {
  const value = LOCAL.a;
  code.set(value);
  // Halves of ever larger pieces change places; the two bytes that matter for 16 bits lie at the top then.
  for (const [bits, mask] of [
    [8n, 0x00ff_00ff_00ff_00ffn],
    [16n, 0x0000_ffff_0000_ffffn],
    [32n, 0xffff_ffffn],
  ] as const) {
    if (bits >= width) break;
    code.get(value).i64(bits).op(OP.i64_shr_u).i64(mask).op(OP.i64_and);
    code.get(value).i64(mask).op(OP.i64_and).i64(bits).op(OP.i64_shl, OP.i64_or).set(value);
  }
  code.get(value);
  if (width < 64) code.i64((1n << BigInt(width)) - 1n).op(OP.i64_and);
}
