/** An update of an array's element as WebAssembly, of type (index: i32, value: i32) -> i32: 0, or -E2BIG. */

import { CodeWriter } from '../wasm/code.ts';
import { OP } from '../wasm/op.ts';

export interface ArrayUpdate {
  readonly data: number;
  readonly stride: number;
  /** Distance of the CPUs' copies; 0 where all have the same. */
  readonly cpuStride: number;
  /** Address of the u32 that holds the current CPU. */
  readonly cpuCell: number;
  readonly valueSize: number;
  readonly maxEntries: number;
}

const E2BIG = 7;
/** Larger values are copied by one instruction, which V8 makes a call. */
const MOST_UNROLLED = 128;
const STEPS = [
  { size: 8, load: OP.i64_load, store: OP.i64_store },
  { size: 4, load: OP.i32_load, store: OP.i32_store },
  { size: 2, load: OP.i32_load16_u, store: OP.i32_store16 },
  { size: 1, load: OP.i32_load8_u, store: OP.i32_store8 },
] as const;

/** The body, with one i32 local after the parameters. */
export function emitArrayUpdate({ data, stride, cpuStride, cpuCell, valueSize, maxEntries }: ArrayUpdate): CodeWriter {
  const [index, value, element] = [0, 1, 2];
  const code = new CodeWriter().get(index).i32(maxEntries).op(OP.i32_ge_u).open(OP.if).i32(-E2BIG).op(OP.return).end();
  code.get(index).i32(stride).op(OP.i32_mul).i32(data).op(OP.i32_add);
  if (cpuStride !== 0) code.i32(cpuCell).access(OP.i32_load).i32(cpuStride).op(OP.i32_mul, OP.i32_add);
  code.set(element);
  if (valueSize > MOST_UNROLLED) return code.get(element).get(value).i32(valueSize).memoryCopy().i32(0);
  let at = 0;
  for (const { size, load, store } of STEPS) {
    for (; at + size <= valueSize; at += size) code.get(element).get(value).access(load, at).access(store, at);
  }
  return code.i32(0);
}
