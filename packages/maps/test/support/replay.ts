/** Replays recorded operations on a task of an in-process kernel. */

import type { Task } from '@libbpf-ts/kernel';
import { errnoName, type BpfCmdNumber } from '@libbpf-ts/uapi';

import { smallBtf } from './btf.ts';

export interface Operation {
  readonly op: string;
  readonly as?: string;
  readonly attr?: Readonly<Record<string, number | string | readonly number[]>>;
  readonly fd?: string;
  readonly key?: string;
  readonly value?: string;
  readonly keys?: string;
  readonly values?: string | readonly string[];
  readonly size?: number;
  readonly flags?: number;
  readonly type?: string;
  readonly insns?: string;
  readonly count?: number;
  readonly key_size?: number;
  readonly value_size?: number;
  readonly id?: boolean;
  readonly result?: string;
  readonly out?: string;
  readonly done?: number;
  readonly pairs?: readonly (readonly [string, string])[];
}

export interface Case {
  readonly name: string;
  readonly ops: readonly Operation[];
}

const COMMANDS: Readonly<Record<string, BpfCmdNumber>> = { lookup: 1, update: 2, delete: 3, next: 4, take: 21, freeze: 22 };
const BATCHES: Readonly<Record<string, 24 | 25 | 26 | 27>> = {
  lookup_batch: 24,
  take_batch: 25,
  update_batch: 26,
  delete_batch: 27,
};
const PROG_TYPES: Readonly<Record<string, number>> = { sched_cls: 3, xdp: 6 };

export const toHex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
export const fromHex = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));

/** What differs from the recording, an operation a line. */
export function replay(task: Task, { ops }: Case): string[] {
  const player = new Player(task);
  return ops.flatMap((operation) => player.play(operation).map((difference) => `${difference}: ${JSON.stringify(operation)}`));
}

class Player {
  readonly #task: Task;
  readonly #fds: Map<string, number> = new Map();

  constructor(task: Task) {
    this.#task = task;
  }

  play(operation: Operation): string[] {
    switch (operation.op) {
      case 'create':
        return this.#create(operation);
      case 'prog':
        return this.#prog(operation);
      case 'close':
        return this.#close(operation);
      case 'count':
        return this.#count(operation);
      default:
        return operation.op in BATCHES ? this.#batch(operation) : this.#element(operation);
    }
  }

  #fd(value: string | number | undefined): number {
    return typeof value === 'string' ? this.#fds.get(value.slice(1))! : (value ?? 0);
  }

  #bytes(value: string | readonly string[] | undefined): Uint8Array | null {
    if (value === undefined) return null;
    if (typeof value !== 'string') return Uint8Array.from(value.flatMap((part) => [...this.#bytes(part)!]));
    return value.startsWith('@') ? new Uint8Array(new Int32Array([this.#fd(value)]).buffer) : fromHex(value);
  }

  #create({ attr, as, result }: Operation): string[] {
    const { btf, inner_map_fd, ...rest } = attr!;
    const btf_fd = btf ? this.#task.bpf(18, { btf: smallBtf(), btf_size: smallBtf().length }) : 0;
    const types = (btf as number[] | undefined) ?? [0, 0];
    const fd = this.#task.bpf(0, {
      ...(rest as Record<string, number>),
      inner_map_fd: this.#fd(inner_map_fd as string | number | undefined),
      btf_fd,
      btf_key_type_id: types[0],
      btf_value_type_id: types[1],
    });
    if (fd >= 0) this.#fds.set(as!, fd);
    return compare(fd, result);
  }

  #prog({ type, insns, as, flags, result }: Operation): string[] {
    const code = fromHex(insns!);
    const license = new Uint8Array([71, 80, 76, 0]);
    const fd = this.#task.bpf(5, {
      prog_type: PROG_TYPES[type!]!,
      insns: code,
      insn_cnt: code.length / 8,
      license,
      prog_flags: flags ?? 0,
    });
    if (fd >= 0) this.#fds.set(as!, fd);
    return compare(fd, result);
  }

  #close({ fd }: Operation): string[] {
    this.#task.close(this.#fd(fd));
    return [];
  }

  #count({ fd, key_size, count }: Operation): string[] {
    let seen = 0;
    for (let key: Uint8Array | null = null; ; seen++) {
      const next_key: Uint8Array = new Uint8Array(key_size!);
      if (this.#task.bpf(4, { map_fd: this.#fd(fd), key, next_key }) < 0) break;
      key = next_key;
    }
    return seen === count ? [] : [`${seen} keys`];
  }

  #element(operation: Operation): string[] {
    const { op, fd, key, value, size, flags, result, out, id } = operation;
    const cmd = COMMANDS[op]!;
    const third = size === undefined ? this.#bytes(value) : new Uint8Array(size);
    if (size !== undefined && value !== undefined) third!.set(this.#bytes(value)!);
    const attr = { map_fd: this.#fd(fd), key: this.#bytes(key), flags: BigInt(flags ?? 0) };
    const answer =
      cmd === 22
        ? this.#task.bpf(22, { map_fd: this.#fd(fd) })
        : cmd === 3
          ? this.#task.bpf(3, { map_fd: attr.map_fd, key: attr.key })
          : cmd === 4
            ? this.#task.bpf(4, { map_fd: attr.map_fd, key: attr.key, next_key: third })
            : this.#task.bpf(cmd as 1 | 2 | 21, { ...attr, value: third });
    const differences = compare(answer, result);
    if (differences.length === 0 && out !== undefined && !id && toHex(third!) !== out)
      differences.push(`gave ${toHex(third!)}`);
    return differences;
  }

  #batch({ op, fd, keys, values, count, key_size, value_size, flags, result, done, pairs }: Operation): string[] {
    const keyBytes = new Uint8Array(key_size! * Math.max(count!, 1));
    const valueBytes = new Uint8Array(value_size! * Math.max(count!, 1));
    keyBytes.set(this.#bytes(keys) ?? []);
    valueBytes.set(this.#bytes(values) ?? []);
    const attr = {
      map_fd: this.#fd(fd),
      keys: keyBytes,
      values: valueBytes,
      count: count!,
      elem_flags: BigInt(flags ?? 0),
      in_batch: null,
      out_batch: new Uint8Array(Math.max(key_size!, 4)),
    };
    const answer = this.#task.bpf(BATCHES[op]!, attr);
    const differences = compare(answer, result);
    if (differences.length > 0) return differences;
    if (attr.count !== done) differences.push(`did ${attr.count}`);
    if (!pairs || attr.count !== done || (answer < 0 && answer !== -2)) return differences;
    const found = Array.from({ length: done }, (_, i) => [
      toHex(keyBytes.subarray(i * key_size!, (i + 1) * key_size!)),
      toHex(valueBytes.subarray(i * value_size!, (i + 1) * value_size!)),
    ]).sort(([a], [b]) => (a! < b! ? -1 : 1));
    if (JSON.stringify(found) !== JSON.stringify(pairs)) differences.push(`gave ${JSON.stringify(found)}`);
    return differences;
  }
}

function compare(answer: number, result: string | undefined): string[] {
  const name = answer >= 0 ? 'OK' : errnoName(answer)!;
  return name === result ? [] : [name];
}
