/** Loads, stores and atomics. */

import type { AtomicOp, SizeBytes, Source } from '@libbpf-ts/isa';

import { I32, I64, OP } from '../wasm/op.ts';
import type { Handler } from './handler.ts';
import { LOCAL } from './handler.ts';
import { RECORD } from './record.ts';

const LOADS: Readonly<Record<SizeBytes, readonly [unsigned: number, signed: number]>> = {
  1: [OP.i64_load8_u, OP.i64_load8_s],
  2: [OP.i64_load16_u, OP.i64_load16_s],
  4: [OP.i64_load32_u, OP.i64_load32_s],
  8: [OP.i64_load, OP.i64_load],
};
const STORES: Readonly<Record<SizeBytes, number>> = { 1: OP.i64_store8, 2: OP.i64_store16, 4: OP.i64_store32, 8: OP.i64_store };

/** `frame`: within the frame by its own numbers, not to be checked. `probe`: reads 0 where it would fault. */
export type Access = 'plain' | 'frame' | 'probe';

/** Leaves the i32 address of an access, checked where the module checks. */
function address(handler: Handler, base: 'dst' | 'src', size: SizeBytes, access: Access): void {
  const { code, module } = handler;
  const register = (wide: boolean): unknown => (base === 'dst' ? handler.dstField(wide) : handler.srcField(wide));
  if (access === 'frame' || !module.variant.region) {
    handler.mark();
    register(false);
    code.get(LOCAL.pc).access(OP.i32_load, RECORD.offset).op(OP.i32_add);
    return;
  }
  register(true);
  code.get(LOCAL.pc).access(OP.i64_load32_s, RECORD.offset).op(OP.i64_add).tee(LOCAL.a);
  code.global(module.regionStart).op(OP.i64_sub).global(module.places[size]).op(OP.i64_ge_u);
  handler.if().trap('access');
  handler.end();
  code.get(LOCAL.a).op(OP.i32_wrap_i64);
}

export function load(handler: Handler, size: SizeBytes, signed: boolean, access: Access): void {
  const { code } = handler;
  handler.place();
  if (access === 'probe') probe(handler, size);
  else address(handler, 'src', size, access);
  code.access(LOADS[size][signed ? 1 : 0]);
  handler.store64();
  handler.advance();
}

/** The address, or 0, where all is zero. */
function probe(handler: Handler, size: SizeBytes): void {
  const { code } = handler;
  handler.srcField(true);
  code.get(LOCAL.pc).access(OP.i64_load32_s, RECORD.offset).op(OP.i64_add).tee(LOCAL.a).op(OP.i32_wrap_i64).i32(0);
  code.get(LOCAL.a).op(OP.memory_size).byte(0).op(OP.i64_extend_i32_u).i64(16n).op(OP.i64_shl);
  code.i64(BigInt(size)).op(OP.i64_sub, OP.i64_le_u, OP.select);
}

export function store(handler: Handler, size: SizeBytes, source: Source, access: Access): void {
  address(handler, 'dst', size, access);
  handler.operand(source, true).code.access(STORES[size]);
  handler.advance();
}

type Combine = (handler: Handler, wide: boolean) => void;
const combine =
  (narrow: number, wide: number): Combine =>
  ({ code }, is64) =>
    void code.op(is64 ? wide : narrow);

/** What goes into memory: the old value and the operand are on the stack. */
const operation: Readonly<Record<Exclude<AtomicOp, 'load_acquire' | 'store_release' | 'cmpxchg'>, Combine>> = {
  add: combine(OP.i32_add, OP.i64_add),
  fetch_add: combine(OP.i32_add, OP.i64_add),
  or: combine(OP.i32_or, OP.i64_or),
  fetch_or: combine(OP.i32_or, OP.i64_or),
  and: combine(OP.i32_and, OP.i64_and),
  fetch_and: combine(OP.i32_and, OP.i64_and),
  xor: combine(OP.i32_xor, OP.i64_xor),
  fetch_xor: combine(OP.i32_xor, OP.i64_xor),
  xchg({ code }, wide) {
    const operand = wide ? LOCAL.b : LOCAL.y;
    code.set(operand).op(OP.drop).get(operand);
  },
};

/** One thread runs programs, so a load and a store are as atomic as a locked instruction, and cheaper. */
export function atomic(handler: Handler, op: AtomicOp, size: 4 | 8, fetch: boolean, access: Access): void {
  if (op === 'load_acquire') return load(handler, size, false, access);
  if (op === 'store_release') return store(handler, size, 'x', access);
  const { code } = handler;
  const wide = size === 8;
  const [old, loads, stores] = wide ? [LOCAL.a, OP.i64_load, OP.i64_store] : [LOCAL.x, OP.i32_load, OP.i32_store];
  address(handler, 'dst', size, access);
  code.tee(LOCAL.at).access(loads).set(old);
  code.get(LOCAL.at);
  if (op === 'cmpxchg') {
    code.get(old);
    handler.register(0, wide).code.op(wide ? OP.i64_eq : OP.i32_eq);
    handler
      .if(wide ? I64 : I32)
      .srcField(wide)
      .else()
      .code.get(old);
    handler.end();
  } else {
    code.get(old);
    operation[op](handler.srcField(wide), wide);
  }
  code.access(stores);
  const result = (): void => void (wide ? code.get(old) : code.get(old).op(OP.i64_extend_i32_u));
  if (op === 'cmpxchg') handler.setRegister(0, result);
  else if (fetch) {
    code.get(LOCAL.pc).access(OP.i32_load8_u, RECORD.src);
    result();
    handler.store64();
  }
  handler.advance();
}
