/** Writes the body of one WebAssembly function. */

import { OP } from './op.ts';

/** A growing byte buffer with LEB128 numbers and the instructions that have operands. Methods return `this`, to be chained. */
export class CodeWriter {
  #bytes: Uint8Array;
  #length = 0;
  /** It calls through the table. */
  callsTable = false;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  byte(value: number): this {
    if (this.#length === this.#bytes.length) this.#reserve(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  /** Unsigned LEB128 of a number below 2 ** 32. */
  u32(value: number): this {
    let rest = value >>> 0;
    while (rest > 127) {
      this.byte((rest & 127) | 128);
      rest >>>= 7;
    }
    return this.byte(rest);
  }

  /** Signed LEB128 of an int32. */
  s32(value: number): this {
    let rest = value | 0;
    while (rest < -64 || rest > 63) {
      this.byte((rest & 127) | 128);
      rest >>= 7;
    }
    return this.byte(rest & 127);
  }

  /** Signed LEB128 of the low 64 bits of a bigint. */
  s64(value: bigint): this {
    let rest = BigInt.asIntN(64, value);
    if (rest >= -0x8000_0000n && rest <= 0x7fff_ffffn) return this.s32(Number(rest));
    while (rest < -64n || rest > 63n) {
      this.byte(Number(rest & 127n) | 128);
      rest >>= 7n;
    }
    return this.byte(Number(rest & 127n));
  }

  raw(bytes: Uint8Array): this {
    if (this.#length + bytes.length > this.#bytes.length) this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** Instructions without operands, in order. */
  op(...codes: number[]): this {
    for (const code of codes) this.byte(code);
    return this;
  }
  i32(value: number): this {
    return this.byte(OP.i32_const).s32(value);
  }
  i64(value: bigint): this {
    return this.byte(OP.i64_const).s64(value);
  }
  get(local: number): this {
    return this.byte(OP.local_get).u32(local);
  }
  set(local: number): this {
    return this.byte(OP.local_set).u32(local);
  }
  tee(local: number): this {
    return this.byte(OP.local_tee).u32(local);
  }
  global(index: number): this {
    return this.byte(OP.global_get).u32(index);
  }
  /** A load or store; `offset` is unsigned and added without wrapping. Alignment is only a hint, and given as 1. */
  access(code: number, offset = 0): this {
    return this.byte(code).byte(0).u32(offset);
  }
  /** `block`, `loop` or `if` of a block type: VOID or a value type. */
  open(code: number, type: number = 0x40): this {
    return this.byte(code).byte(type);
  }
  end(): this {
    return this.byte(OP.end);
  }
  br(depth: number): this {
    return this.byte(OP.br).u32(depth);
  }
  brIf(depth: number): this {
    return this.byte(OP.br_if).u32(depth);
  }
  brTable(depths: readonly number[], otherwise: number): this {
    this.byte(OP.br_table).u32(depths.length);
    for (const depth of depths) this.u32(depth);
    return this.u32(otherwise);
  }
  /** Pops target, source and number of bytes. */
  memoryCopy(): this {
    return this.byte(0xfc).u32(10).byte(0).byte(0);
  }
  call(fn: number): this {
    return this.byte(OP.call).u32(fn);
  }
  returnCall(fn: number): this {
    return this.byte(OP.return_call).u32(fn);
  }
  callIndirect(type: number): this {
    this.callsTable = true;
    return this.byte(OP.call_indirect).u32(type).byte(0);
  }
  returnCallIndirect(type: number): this {
    this.callsTable = true;
    return this.byte(OP.return_call_indirect).u32(type).byte(0);
  }

  #reserve(more: number): void {
    const bytes = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = bytes;
  }
}
