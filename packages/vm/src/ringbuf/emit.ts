/** The helpers on ring buffers as WebAssembly. Their twins in TypeScript are in `maps` (ringbuf.ts). */

import { MAP_HEADER } from '../map-header.ts';
import { CodeWriter } from '../wasm/code.ts';
import { I32, I64, OP } from '../wasm/op.ts';
import type { ValueType } from '../wasm/op.ts';
import { BUSY, DISCARD, MAX_RECORD, RECORD_HEADER, RING } from './layout.ts';

export interface RingBody {
  readonly code: CodeWriter;
  readonly locals: readonly ValueType[];
}

const NO_WAKEUP = 1;
const FORCE_WAKEUP = 2;
const EINVAL = 22;
const EAGAIN = 11;
/** Longer records are copied by one instruction, which V8 makes a call. */
const MOST_BY_WORDS = 128n;

/** Pops a length as i64 and pushes the bytes of its whole record. */
const recordBytes = (code: CodeWriter): CodeWriter =>
  code
    .i64(BigInt(RECORD_HEADER + 7))
    .op(OP.i64_add)
    .i64(-8n)
    .op(OP.i64_and);

/** (map: i32, size: i64) -> i32: address of the record's data, 0 where there is no room (`__bpf_ringbuf_reserve`). */
export function emitReserve(): RingBody {
  const [map, size, ring, mask, bytes, end, pending, header, length, produced] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
  const code = new CodeWriter();
  const refuseIf = (condition: number): unknown => code.op(condition).open(OP.if).i32(0).op(OP.return).end();
  const headerAt = (position: number): CodeWriter =>
    code
      .get(ring)
      .get(position)
      .get(mask)
      .op(OP.i64_and, OP.i32_wrap_i64, OP.i32_add)
      .i32(RING.data)
      .op(OP.i32_add)
      .tee(header);
  code.get(size).i64(BigInt(MAX_RECORD));
  refuseIf(OP.i64_gt_u);
  code.get(map).access(OP.i32_load, MAP_HEADER.data).tee(ring).access(OP.i64_load32_u, RING.mask).set(mask);
  recordBytes(code.get(size)).tee(bytes).get(mask).i64(1n).op(OP.i64_add);
  refuseIf(OP.i64_gt_u);
  code.get(ring).access(OP.i64_load, RING.producer).tee(produced).get(bytes).op(OP.i64_add).set(end);
  // Over the records that are complete by now: data of a busy one may not be overwritten.
  code.get(ring).access(OP.i64_load, RING.pending).set(pending);
  code.open(OP.block).open(OP.loop).get(pending).get(produced).op(OP.i64_ge_u).brIf(1);
  // The sign is the busy bit.
  headerAt(pending).access(OP.i32_load).tee(length).i32(0).op(OP.i32_lt_s).brIf(1);
  recordBytes(code.get(pending).get(length).i32(~DISCARD).op(OP.i32_and, OP.i64_extend_i32_u)).op(OP.i64_add);
  code.set(pending).br(0).end().end();
  code.get(ring).get(pending).access(OP.i64_store, RING.pending);
  code.get(end).get(ring).access(OP.i64_load, RING.consumer).op(OP.i64_sub).get(mask);
  refuseIf(OP.i64_gt_u);
  code.get(end).get(pending).op(OP.i64_sub).get(mask);
  refuseIf(OP.i64_gt_u);
  headerAt(produced).get(size).op(OP.i32_wrap_i64).i32(BUSY).op(OP.i32_or).access(OP.i32_store);
  code.get(header).get(header).get(ring).op(OP.i32_sub).i32(12).op(OP.i32_shr_u).access(OP.i32_store, 4);
  code.get(ring).get(end).access(OP.i64_store, RING.producer);
  code.get(header).i32(RECORD_HEADER).op(OP.i32_add);
  return { code, locals: [I32, I64, I64, I64, I64, I32, I32, I64] };
}

/**
 * (sample: i32, flags: i32, discard: i32), of which `discard` is 0 or DISCARD: completes a record (`bpf_ringbuf_commit`). `wake` is the
 * function (ring: i32) that is called where somebody waits and the flags ask for it.
 */
export function emitCommit(wake: number): RingBody {
  const [sample, flags, discard, header, ring] = [0, 1, 2, 3, 4];
  const code = new CodeWriter().get(sample).i32(RECORD_HEADER).op(OP.i32_sub).tee(header).i32(-4096).op(OP.i32_and);
  code.get(header).access(OP.i32_load, 4).i32(12).op(OP.i32_shl, OP.i32_sub).set(ring);
  code.get(header).get(header).access(OP.i32_load).i32(~BUSY).op(OP.i32_and).get(discard).op(OP.i32_or).access(OP.i32_store);
  code.get(ring).access(OP.i32_load, RING.waited).op(OP.i32_eqz).open(OP.if).op(OP.return).end();
  code.open(OP.block).get(flags).i32(FORCE_WAKEUP).op(OP.i32_and).brIf(0);
  code.get(flags).i32(NO_WAKEUP).op(OP.i32_and).open(OP.if).op(OP.return).end();
  // Is the reader at this record?
  code.get(ring).access(OP.i32_load, RING.consumer).get(ring).access(OP.i32_load, RING.mask).op(OP.i32_and);
  code.get(ring).op(OP.i32_add).i32(RING.data).op(OP.i32_add).get(header).op(OP.i32_ne);
  code.open(OP.if).op(OP.return).end().end().get(ring).call(wake);
  return { code, locals: [I32, I32] };
}

/** (map: i32, data: i32, size: i64, flags: i64) -> i32: `bpf_ringbuf_output`. */
export function emitOutput(reserve: number, commit: number): RingBody {
  const [map, data, size, flags, sample, at, end] = [0, 1, 2, 3, 4, 5, 6];
  const code = new CodeWriter()
    .get(flags)
    .i64(BigInt(~(NO_WAKEUP | FORCE_WAKEUP)))
    .op(OP.i64_and, OP.i64_eqz, OP.i32_eqz);
  code.open(OP.if).i32(-EINVAL).op(OP.return).end();
  code.get(map).get(size).call(reserve).tee(sample).op(OP.i32_eqz).open(OP.if).i32(-EAGAIN).op(OP.return).end();
  code.get(size).i64(MOST_BY_WORDS).op(OP.i64_gt_u).open(OP.if);
  code.get(sample).get(data).get(size).op(OP.i32_wrap_i64).memoryCopy().op(OP.else);
  code.get(sample).tee(at).get(size).op(OP.i32_wrap_i64, OP.i32_add).set(end);
  for (const [bytes, load, store] of [
    [8, OP.i64_load, OP.i64_store],
    [1, OP.i32_load8_u, OP.i32_store8],
  ] as const) {
    code.open(OP.block).open(OP.loop).get(end).get(at).op(OP.i32_sub).i32(bytes).op(OP.i32_lt_u).brIf(1);
    code.get(at).get(data).access(load).access(store);
    code.get(at).i32(bytes).op(OP.i32_add).set(at).get(data).i32(bytes).op(OP.i32_add).set(data).br(0).end().end();
  }
  code.end().get(sample).get(flags).op(OP.i32_wrap_i64).i32(0).call(commit).i32(0);
  return { code, locals: [I32, I32, I32] };
}
