/** bpf_loop in WebAssembly. */

import { BPF_MAX_LOOPS } from './cells.ts';
import { CodeWriter } from './wasm/code.ts';
import { I32, I64, OP } from './wasm/op.ts';

/** Parameters and locals of the function: (count, slot, ctx, flags) -> s32. */
export const BPF_LOOP_PARAMS: readonly (typeof I32 | typeof I64)[] = [I32, I32, I32, I64];
export const BPF_LOOP_LOCALS: readonly (typeof I32)[] = [I32];

/**
 * -EINVAL with flags, -E2BIG over BPF_MAX_LOOPS, else the rounds made; a callback that returns non-zero ends it. `callback` is the
 * type of the slot's function.
 */
export function bpfLoop(callback: number): CodeWriter {
  const [count, slot, ctx, flags, round] = [0, 1, 2, 3, 4];
  const code = new CodeWriter().get(flags).op(OP.i64_eqz, OP.i32_eqz).open(OP.if).i32(-22).op(OP.return).end();
  code.get(count).i32(BPF_MAX_LOOPS).op(OP.i32_gt_u).open(OP.if).i32(-7).op(OP.return).end();
  code.open(OP.block).open(OP.loop).get(round).get(count).op(OP.i32_eq).brIf(1);
  code.get(round).get(ctx).i32(0).i32(0).i32(0).get(slot).callIndirect(callback);
  code.get(round).i32(1).op(OP.i32_add).set(round).brIf(1).br(0).end().end();
  return code.get(round);
}
