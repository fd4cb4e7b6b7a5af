/** The hash of map keys: one definition in TypeScript and one emitted as WebAssembly, equal on every input. */

import type { Arena } from '../arena.ts';
import type { CodeWriter } from '../wasm/code.ts';
import { I32, OP } from '../wasm/op.ts';
import type { ValueType } from '../wasm/op.ts';

const MULTIPLIER = 0x9e37_79b1 | 0;
const FINAL_MULTIPLIER = 0x85eb_ca6b | 0;

/** Hash of the `size` bytes at `address`, an int32 (use `>>> 0` to compare with memory). Mixes 32-bit little-endian words. */
export function hashKey(arena: Arena, address: number, size: number, seed: number): number {
  const bytes = arena.u8;
  const whole = address + (size & ~3);
  let hash = seed | 0;
  if ((address & 3) === 0) {
    const words = arena.i32;
    for (let at = address >> 2, end = whole >> 2; at < end; at++) hash = mix(hash, words[at]!);
  } else {
    for (let at = address; at < whole; at += 4) {
      hash = mix(hash, bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
    }
  }
  const rest = size & 3;
  if (rest !== 0) {
    let word = 0;
    for (let index = 0; index < rest; index++) word |= bytes[whole + index]! << (8 * index);
    hash = mix(hash, word);
  }
  hash = Math.imul(hash ^ (hash >>> 16), FINAL_MULTIPLIER);
  return hash ^ (hash >>> 13);
}

function mix(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, MULTIPLIER);
  return product ^ (product >>> 15);
}

/** Hands out the locals of one function. */
export class Locals {
  readonly types: ValueType[] = [];
  readonly #first: number;

  constructor(params: number) {
    this.#first = params;
  }
  add(type: ValueType = I32): number {
    this.types.push(type);
    return this.#first + this.types.length - 1;
  }
}

/** What a lookup knows about keys when it is emitted: their size, or the local that holds it. */
export type KeySize = { readonly bytes: number } | { readonly local: number };

/** Emits: local `hash` = hash of the key at local `key`, starting from the seed already in `hash`. */
export function emitHash(code: CodeWriter, locals: Locals, key: number, size: KeySize, hash: number): void {
  if ('bytes' in size) {
    for (let at = 0; at + 4 <= size.bytes; at += 4) {
      code.get(key).access(OP.i32_load, at);
      emitMix(code, hash);
    }
    if (size.bytes & 3) {
      emitRest(code, key, size.bytes & ~3, size.bytes & 3);
      emitMix(code, hash);
    }
  } else emitHashLoop(code, locals, key, size.local, hash);
  code.get(hash).get(hash).i32(16).op(OP.i32_shr_u, OP.i32_xor).i32(FINAL_MULTIPLIER).op(OP.i32_mul).tee(hash);
  code.get(hash).i32(13).op(OP.i32_shr_u, OP.i32_xor).set(hash);
}

/** Pops a word and mixes it into local `hash`. */
function emitMix(code: CodeWriter, hash: number): void {
  code.get(hash).op(OP.i32_xor).i32(MULTIPLIER).op(OP.i32_mul).tee(hash);
  code.get(hash).i32(15).op(OP.i32_shr_u, OP.i32_xor).set(hash);
}

/** Pushes the 1 to 3 bytes at `key` + offset as a word. */
function emitRest(code: CodeWriter, key: number, offset: number, count: number): void {
  code.get(key).access(count === 1 ? OP.i32_load8_u : OP.i32_load16_u, offset);
  if (count === 3)
    code
      .get(key)
      .access(OP.i32_load8_u, offset + 2)
      .i32(16)
      .op(OP.i32_shl, OP.i32_or);
}

function emitHashLoop(code: CodeWriter, locals: Locals, key: number, size: number, hash: number): void {
  const at = locals.add();
  const end = locals.add();
  code.get(key).tee(at).get(size).i32(-4).op(OP.i32_and, OP.i32_add).set(end);
  code.open(OP.block).open(OP.loop).get(at).get(end).op(OP.i32_eq).brIf(1);
  code.get(at).access(OP.i32_load);
  emitMix(code, hash);
  code.get(at).i32(4).op(OP.i32_add).set(at).br(0).end().end();
  code.open(OP.block).get(size).i32(3).op(OP.i32_and).tee(end).op(OP.i32_eqz).brIf(0);
  code.get(at).access(OP.i32_load8_u);
  // The bytes that are not there count as zero.
  code.get(at).access(OP.i32_load8_u, 1).i32(8).op(OP.i32_shl).i32(0).get(end).i32(2).op(OP.i32_ge_u, OP.select, OP.i32_or);
  code.get(at).access(OP.i32_load8_u, 2).i32(16).op(OP.i32_shl).i32(0).get(end).i32(3).op(OP.i32_eq, OP.select, OP.i32_or);
  emitMix(code, hash);
  code.end();
}
