/** The walk over a hook's programs as WebAssembly: one indirect call a program, no JavaScript between them. */

import { MPROG_ARRAY } from './arrays.ts';

/** Return codes (int32) after which the next program runs; any other ends the walk. */
export interface WalkRule {
  readonly continueOn: readonly number[];
}

/** Bytes before the records of a trace ring: the number of records written so far, and their limit. */
export const TRACE_RING_HEADER = 16;
/** One step of a traced walk: hook, program id, return value (int32), 0. */
export const TRACE_RECORD_SIZE = 16;

const I32 = 0x7f;
const I64 = 0x7e;

function unsigned(value: number): number[] {
  const out: number[] = [];
  let rest = value >>> 0;
  do {
    out.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest !== 0);
  return out;
}

function signed(value: number): number[] {
  const out: number[] = [];
  let rest = value | 0;
  for (;;) {
    const byte = rest & 0x7f;
    rest >>= 7;
    const done = (rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0);
    out.push(done ? byte : byte | 0x80);
    if (done) return out;
  }
}

const sized = (bytes: readonly number[]): number[] => [...unsigned(bytes.length), ...bytes];
const section = (id: number, body: readonly number[]): number[] => [id, ...sized(body)];
const vector = (items: readonly (readonly number[])[]): number[] => [...unsigned(items.length), ...items.flat()];
const name = (text: string): number[] => sized([...new TextEncoder().encode(text)]);

const get = (local: number): number[] => [0x20, local];
const set = (local: number): number[] => [0x21, local];

const constant = (value: number): number[] => [0x41, ...signed(value)];
const load = (offset: number): number[] => [0x28, 2, ...unsigned(offset)];
const store = (offset: number): number[] => [0x36, 2, ...unsigned(offset)];
const ADD = 0x6a;
const EQ = 0x46;
const OR = 0x72;
const LT_U = 0x49;
const SHL = 0x74;
const BLOCK = [0x02, 0x40];
const LOOP = [0x03, 0x40];
const IF = [0x04, 0x40];
const END = 0x0b;

const branchIf = (depth: number): number[] => [0x0d, depth];
const EQZ = 0x45;
const WRAP = 0xa7;

const CTX = 0;
const ARRAY = 1;
const RING = 2;

/** Leaves 1 on the stack where the return code lets the next program run. */
function continues(ret: number, rule: WalkRule): number[] {
  const tests = rule.continueOn.map((code) => [...get(ret), ...constant(code), EQ]);
  return tests.length === 0 ? constant(0) : [...tests[0]!, ...tests.slice(1).flatMap((test) => [...test, OR])];
}

/** `walk(ctx, array) -> last return code`; traced: `trace(ctx, array, ring) -> last return code`. */
function walker(rule: WalkRule, traced: boolean): number[] {
  const ret = traced ? 3 : 2;
  const slot = ret + 1;
  const at = ret + 2;
  const record = [
    // while there is room: ring[16 + 16 * count] = { hook, id, ret }
    ...get(RING),
    ...load(0),
    ...get(RING),
    ...load(4),
    LT_U,
    ...IF,
    ...get(RING),
    ...load(0),
    ...constant(4),
    SHL,
    ...get(RING),
    ADD,
    ...set(at),
    ...get(at),
    ...get(ARRAY),
    ...load(0),
    ...store(TRACE_RING_HEADER),
    ...get(at),
    ...get(slot),
    ...load(MPROG_ARRAY.ids),
    ...store(TRACE_RING_HEADER + 4),
    ...get(at),
    ...get(ret),
    ...store(TRACE_RING_HEADER + 8),
    END,
    ...get(RING),
    ...get(RING),
    ...load(0),
    ...constant(1),
    ADD,
    ...store(0),
  ];
  const body = [
    ...constant(rule.continueOn[0] ?? 0),
    ...set(ret),
    ...get(ARRAY),
    ...set(slot),
    ...BLOCK,
    ...LOOP,
    ...get(slot),
    ...load(MPROG_ARRAY.slots),
    EQZ,
    ...branchIf(1),
    ...get(CTX),
    ...get(slot),
    ...load(MPROG_ARRAY.slots),
    0x11,
    0,
    0,
    WRAP,
    ...set(ret),
    ...(traced ? record : []),
    ...get(slot),
    ...constant(4),
    ADD,
    ...set(slot),
    ...continues(ret, rule),
    ...branchIf(0),
    END,
    END,
    ...get(ret),
    END,
  ];
  return sized([...vector([[3, I32]]), ...body]);
}

/** A module with the exports `walk` and `trace` for one rule; it imports `vm.memory` and `vm.table`. */
export function walkModule(rule: WalkRule): Uint8Array<ArrayBuffer> {
  const type = (args: number, result: number): number[] => [
    0x60,
    ...vector(Array.from({ length: args }, () => [I32])),
    1,
    result,
  ];
  return Uint8Array.from([
    0x00,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    ...section(1, vector([type(1, I64), type(2, I32), type(3, I32)])),
    ...section(
      2,
      vector([
        [...name('vm'), ...name('memory'), 0x02, 0x00, 0],
        [...name('vm'), ...name('table'), 0x01, 0x70, 0x00, 0],
      ]),
    ),
    ...section(3, vector([[1], [2]])),
    ...section(
      7,
      vector([
        [...name('walk'), 0, 0],
        [...name('trace'), 0, 1],
      ]),
    ),
    ...section(10, vector([walker(rule, false), walker(rule, true)])),
  ]);
}
