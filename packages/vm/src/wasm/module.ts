/** Puts a WebAssembly module together. */

import { CodeWriter } from './code.ts';
import type { ValueType } from './op.ts';

interface FunctionBody {
  readonly type: number;
  code: CodeWriter | undefined;
  locals: readonly ValueType[];
}

/** Where a function's code begins in the module, for the places in stack traces. */
export interface CodePlace {
  /** Function index. */
  readonly index: number;
  /** Offset in the module of the first byte of the body's instructions. */
  readonly start: number;
}

/** Types, imports, functions and exports in the order that the binary format wants. Import functions before declaring any. */
export class ModuleWriter {
  readonly #types: Map<string, number> = new Map();
  readonly #typeBytes: CodeWriter = new CodeWriter(64);
  readonly #imports: CodeWriter = new CodeWriter(64);
  #importCount = 0;
  #importedFunctions = 0;
  #importedGlobals = 0;
  readonly #functions: FunctionBody[] = [];
  readonly #exports: CodeWriter = new CodeWriter(64);
  #exportCount = 0;

  /** Index of a function type. */
  type(params: readonly ValueType[], results: readonly ValueType[]): number {
    const key = `${params.join()}>${results.join()}`;
    const known = this.#types.get(key);
    if (known !== undefined) return known;
    const index = this.#types.size;
    this.#types.set(key, index);
    this.#typeBytes
      .byte(0x60)
      .u32(params.length)
      .op(...params)
      .u32(results.length)
      .op(...results);
    return index;
  }

  importFunction(module: string, name: string, type: number): number {
    if (this.#functions.length > 0) throw new Error('imports come before functions');
    this.#import(module, name).byte(0).u32(type);
    return this.#importedFunctions++;
  }

  /** The memory that all code here works on, whatever its size. */
  importMemory(module: string, name: string): void {
    this.#import(module, name).byte(2).byte(0).u32(1);
  }

  /** To be called where a function calls through a table, before `finish`. */
  importTable(module: string, name: string): void {
    this.#import(module, name).byte(1).byte(0x70).byte(0).u32(1);
  }

  /** An immutable global. */
  importGlobal(module: string, name: string, type: ValueType): number {
    this.#import(module, name).byte(3).byte(type).byte(0);
    return this.#importedGlobals++;
  }

  /** Reserves the index of a function, so that others can call it before its body is there. */
  declare(type: number): number {
    this.#functions.push({ type, code: undefined, locals: [] });
    return this.#importedFunctions + this.#functions.length - 1;
  }

  /** `locals` are the types after the parameters; `code` is without the final `end`. */
  define(index: number, locals: readonly ValueType[], code: CodeWriter): void {
    const body = this.#functions[index - this.#importedFunctions]!;
    body.code = code;
    body.locals = locals;
  }

  export(name: string, index: number): void {
    this.#exportCount++;
    writeName(this.#exports, name).byte(0).u32(index);
  }

  /** Whether some function calls through a table. */
  get callsTable(): boolean {
    return this.#functions.some(({ code }) => code?.callsTable);
  }

  finish(): { bytes: Uint8Array<ArrayBuffer>; places: CodePlace[] } {
    const code = this.#functions.reduce((sum, { code }) => sum + 64 + (code?.length ?? 0), 0);
    const out = new CodeWriter(512 + this.#imports.length + this.#exports.length + code);
    out.op(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
    section(out, 1, this.#types.size, this.#typeBytes.bytes);
    if (this.#importCount > 0) section(out, 2, this.#importCount, this.#imports.bytes);
    const types = new CodeWriter(16);
    for (const { type } of this.#functions) types.u32(type);
    section(out, 3, this.#functions.length, types.bytes);
    if (this.#exportCount > 0) section(out, 7, this.#exportCount, this.#exports.bytes);
    const places = this.#writeCode(out);
    return { bytes: out.bytes.slice(), places };
  }

  #writeCode(out: CodeWriter): CodePlace[] {
    const count = this.#functions.length;
    let size = lengthOfU32(count);
    const declared = this.#functions.map(({ code, locals }, index) => {
      if (!code) throw new Error(`function ${index} has no body`);
      const groups = localGroups(locals);
      const body = groups.length + code.length + 1;
      size += lengthOfU32(body) + body;
      return groups;
    });
    out.byte(10).u32(size).u32(count);
    return this.#functions.map(({ code }, index) => {
      const groups = declared[index]!;
      out.u32(groups.length + code!.length + 1).raw(groups);
      const start = out.length;
      out.raw(code!.bytes).end();
      return { index: this.#importedFunctions + index, start };
    });
  }

  #import(module: string, name: string): CodeWriter {
    this.#importCount++;
    writeName(this.#imports, module);
    return writeName(this.#imports, name);
  }
}

function writeName(out: CodeWriter, name: string): CodeWriter {
  out.u32(name.length);
  for (let at = 0; at < name.length; at++) out.byte(name.charCodeAt(at) & 127);
  return out;
}

function section(out: CodeWriter, id: number, count: number, content: Uint8Array): void {
  out
    .byte(id)
    .u32(lengthOfU32(count) + content.length)
    .u32(count)
    .raw(content);
}

/** Bytes of a number as unsigned LEB128. */
function lengthOfU32(value: number): number {
  let length = 1;
  for (let rest = value >>> 7; rest !== 0; rest >>>= 7) length++;
  return length;
}

function localGroups(locals: readonly ValueType[]): Uint8Array {
  const groups: { count: number; type: number }[] = [];
  for (const type of locals) {
    const last = groups.at(-1);
    if (last?.type === type) last.count++;
    else groups.push({ count: 1, type });
  }
  const out = new CodeWriter(16).u32(groups.length);
  for (const { count, type } of groups) out.u32(count).byte(type);
  return out.bytes;
}
