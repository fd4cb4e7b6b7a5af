/** Replays recorded bpf(2) steps on a task of an in-process kernel. */

import type { Task } from '@libbpf-ts/kernel';
import { BufferMemory, errnoName } from '@libbpf-ts/uapi';

export type Value =
  | number
  | string
  | readonly ['fd' | 'id', string]
  | readonly ['bad']
  | readonly ['out', number, number?]
  | readonly ['in', ...(string | Value)[]];

export interface Step {
  readonly cmd?: number;
  readonly close?: string;
  readonly dup?: string;
  readonly unlink?: string;
  readonly rename?: readonly [string, string];
  readonly size?: number;
  readonly attr?: readonly (readonly [offset: number, width: number, value: Value])[];
  readonly result?: string;
  readonly changed?: readonly (readonly [offset: number, width: number, value: number])[];
  readonly outs?: readonly (readonly [number, string])[];
  readonly save?: string;
  readonly drop?: boolean;
}

export interface RecordedCase {
  readonly name: string;
  readonly steps: readonly Step[];
}

const ATTR_SIZE = 168;

/** One story on one task. `run` returns what differs from the recording, in words; undefined where nothing does. */
export class Replay {
  readonly #task: Task;
  readonly #fds: Map<string, number> = new Map();
  /** The id that an object had when its fd was opened. */
  readonly #ids: Map<string, number> = new Map();

  constructor(task: Task) {
    this.#task = task;
  }

  run(step: Step): string | undefined {
    if (step.cmd === undefined) return this.#plain(step);
    const memory = new BufferMemory();
    const outs: Uint8Array[] = [];
    const triples = step.attr!;
    const bytes = new Uint8Array(Math.max(step.size!, ATTR_SIZE));
    for (const [offset, width, value] of triples) bytes.set(this.#encode(value, width, memory, outs), offset);
    const before = bytes.slice();
    const result = this.#task.bpfRaw(step.cmd!, bytes, step.size!, memory);
    const name = result < 0 ? errnoName(result)! : 'OK';
    const differences =
      name === step.result
        ? []
        : [`${name}${this.#task.lastError ? ` (${this.#task.lastError.detail})` : ''} instead of ${step.result}`];
    if (result >= 0 && step.save) this.#save(step.save, result);
    if (result >= 0 && step.drop) this.#task.close(result);
    if (differences.length === 0) this.#compare(step, before, bytes, outs, differences);
    return differences.length === 0 ? undefined : differences.join('; ');
  }

  /** A syscall that is not bpf(2). */
  #plain(step: Step): string | undefined {
    const task = this.#task;
    if (step.close !== undefined) {
      task.close(this.#fds.get(step.close)!);
      this.#fds.delete(step.close);
      return undefined;
    }
    const result =
      step.dup !== undefined
        ? task.dup(this.#fds.get(step.dup)!)
        : step.unlink !== undefined
          ? task.unlink(step.unlink)
          : task.rename(...step.rename!);
    if (step.dup !== undefined && result >= 0) this.#save(step.save!, result);
    const name = result < 0 ? errnoName(result)! : 'OK';
    return name === step.result ? undefined : `${name} instead of ${step.result}`;
  }

  #save(name: string, fd: number): void {
    this.#fds.set(name, fd);
    const id = this.#task.file(fd)!.object?.id;
    if (id !== undefined) this.#ids.set(name, id);
  }

  #compare(step: Step, before: Uint8Array, after: Uint8Array, outs: readonly Uint8Array[], differences: string[]): void {
    for (const [offset, width, value] of step.changed ?? []) {
      // How long a successful load's log was for a while, before it was cut back to its last line, is the verifier's business.
      if (step.cmd === 5 && offset === LOG_TRUE_SIZE_AT && (step.result === 'OK' || hasTime(step))) continue;
      const got = Number(littleEndian(after.subarray(offset, offset + width)));
      if (got !== value) differences.push(`attr[${offset}] is ${got} instead of ${value}`);
    }
    void before;
    (step.outs ?? []).forEach(([, expected], index) => {
      const got = hex(outs[index]!);
      if (step.cmd === 5 ? logText(got) !== logText(expected) : got !== expected)
        differences.push(`buffer ${index} is ${got} instead of ${expected}`);
    });
  }

  #encode(value: Value, width: number, memory: BufferMemory, outs: Uint8Array[]): Uint8Array {
    if (typeof value === 'string') return new TextEncoder().encode(value.padEnd(width, '\0')).subarray(0, width);
    if (typeof value === 'number') return toBytes(BigInt(value), width);
    switch (value[0]) {
      case 'fd':
        return toBytes(BigInt(this.#fds.get(value[1])!), width);
      case 'id':
        return toBytes(BigInt(this.#ids.get(value[1])!), width);
      case 'bad':
        return toBytes(0x10n, width);
      case 'out': {
        const buffer = new Uint8Array(value[1]).fill(value[2] ?? 0);
        outs.push(buffer);
        return toBytes(memory.map(buffer), 8);
      }
      case 'in': {
        const parts = value
          .slice(1)
          .map((part) => (typeof part === 'string' ? fromHex(part) : this.#encode(part as Value, 4, memory, outs)));
        return toBytes(memory.map(concat(parts)), 8);
      }
    }
  }
}

const LOG_TRUE_SIZE_AT = 140;

/** Statistics name a time. */
const hasTime = (step: Step): boolean =>
  step.attr!.some(([offset, , value]) => offset === 24 && typeof value === 'number' && (value & 4) !== 0);

/** The log up to its NUL, without times. */
function logText(text: string): string {
  const bytes = fromHex(text);
  const end = bytes.indexOf(0);
  return new TextDecoder()
    .decode(end < 0 ? bytes : bytes.subarray(0, end))
    .replace(/verification time \d+ usec/, 'verification time N usec');
}

export const fromHex = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
export const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

function toBytes(value: bigint, width: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
  return bytes.subarray(0, width);
}

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
