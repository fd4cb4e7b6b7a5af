/** A map in the shape of JavaScript's `Map`: keys and values as bytes, or as values by their BTF types. */

import { decodeValue, encodeValue, formatJson, type Btf, type BtfValue } from '@libbpf-ts/btf';
import {
  BPF_ANY,
  BPF_MAP_CREATE,
  BPF_MAP_DELETE_ELEM,
  BPF_MAP_FREEZE,
  BPF_MAP_GET_NEXT_KEY,
  BPF_MAP_LOOKUP_ELEM,
  BPF_MAP_TYPE_LRU_PERCPU_HASH,
  BPF_MAP_TYPE_PERCPU_ARRAY,
  BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE_DEPRECATED,
  BPF_MAP_TYPE_PERCPU_HASH,
  BPF_MAP_UPDATE_ELEM,
  type Syscalls,
} from '@libbpf-ts/uapi';
import { call, refusal } from './call.ts';
import { BpfError } from './errors.ts';
import { Handle } from './handle.ts';
import type { MapSpec } from './spec.ts';

const ENOENT = -2;
/** Map types whose values are kept once a processor. */
export const PERCPU_MAP_TYPES: ReadonlySet<number> = new Set([
  BPF_MAP_TYPE_PERCPU_HASH,
  BPF_MAP_TYPE_PERCPU_ARRAY,
  BPF_MAP_TYPE_LRU_PERCPU_HASH,
  BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE_DEPRECATED,
]);
/** Far more processors than any kernel has: a buffer that a per-CPU lookup cannot overrun. */
const MOST_CPUS = 4096;

/**
 * The number of processors that a kernel keeps per-CPU values for. A lookup in a per-CPU array of our own fills one slot for each,
 * with zeros: what is left of a marked buffer tells how many.
 */
export function possibleCpus(sys: Syscalls): number {
  const map_fd = call(
    sys,
    BPF_MAP_CREATE,
    { map_type: BPF_MAP_TYPE_PERCPU_ARRAY, key_size: 4, value_size: 8, max_entries: 1 },
    'to count processors',
  );
  try {
    const value = new Uint8Array(8 * MOST_CPUS).fill(0xff);
    call(sys, BPF_MAP_LOOKUP_ELEM, { map_fd, key: new Uint8Array(4), value }, 'to count processors');
    return value.indexOf(0xff) / 8;
  } finally {
    sys.close(map_fd);
  }
}

/** What a key or a value may be given as: bytes, or a value of its BTF type (a number for integers of up to 32 bits, …). */
export type MapInput<T extends BtfValue = BtfValue> = Uint8Array | T;

/** Keys are `K` and values `V`, in the forms of `decodeValue`; skeletons give them, and where nothing does they are any value. */
export class BpfMap<K extends BtfValue = BtfValue, V extends BtfValue = BtfValue> extends Handle {
  readonly spec: MapSpec;
  readonly #btf: Btf | undefined;
  #cpus = 0;

  constructor(sys: Syscalls, fd: number, spec: MapSpec, btf?: Btf) {
    super(sys, fd);
    this.spec = spec;
    this.#btf = btf;
  }

  get name(): string {
    return this.spec.name;
  }

  /** The value of a key as bytes (all processors' values one after the other in per-CPU maps), or `undefined`. */
  getBytes(key: MapInput<K>): Uint8Array | undefined {
    const value = new Uint8Array(this.#valueBytes());
    const result = this.sys.bpf(BPF_MAP_LOOKUP_ELEM, { map_fd: this.fd, key: this.#key(key), value });
    if (result === ENOENT) return undefined;
    if (result < 0) throw refusal(this.sys, result, 'BPF_MAP_LOOKUP_ELEM', `in map ${this.name}`);
    return value;
  }

  /** The value of a key, decoded; in per-CPU maps an array with one value a processor. `undefined` where the key is absent. */
  get(key: MapInput<K>): V | undefined {
    const bytes = this.getBytes(key);
    return bytes && (this.#decoded(bytes) as V);
  }

  has(key: MapInput<K>): boolean {
    return this.getBytes(key) !== undefined;
  }

  /** Stores a value; in per-CPU maps an array with one value a processor, or one value for all. `flags`: BPF_ANY, BPF_NOEXIST, BPF_EXIST. */
  set(key: MapInput<K>, value: MapInput<V>, flags: number = BPF_ANY): this {
    const attr = { map_fd: this.fd, key: this.#key(key), value: this.#value(value), flags: BigInt(flags) };
    call(this.sys, BPF_MAP_UPDATE_ELEM, attr, `in map ${this.name}`);
    return this;
  }

  /** Replaces a value by what `change` makes of it (`undefined` where the key is absent). Not atomic. */
  update(key: MapInput<K>, change: (value: V | undefined) => MapInput<V>): this {
    return this.set(key, change(this.get(key)));
  }

  /** Removes a key. `false` where it was absent. */
  delete(key: MapInput<K>): boolean {
    const result = this.sys.bpf(BPF_MAP_DELETE_ELEM, { map_fd: this.fd, key: this.#key(key) });
    if (result === ENOENT) return false;
    if (result < 0) throw refusal(this.sys, result, 'BPF_MAP_DELETE_ELEM', `in map ${this.name}`);
    return true;
  }

  /** Removes all keys. */
  clear(): void {
    // All keys first: deleting during the walk may start it anew.
    const keys = Array.from(this.keysBytes());
    for (const key of keys) this.delete(key);
  }

  /** Counts the keys by walking them. */
  get size(): number {
    let count = 0;
    for (const _ of this.keysBytes()) count++;
    return count;
  }

  /** Keys as bytes, as the kernel walks them: one that is deleted during the walk may start it anew. */
  *keysBytes(): Generator<Uint8Array> {
    let key: Uint8Array | null = null;
    for (;;) {
      const next_key: Uint8Array = new Uint8Array(this.spec.key_size);
      const result = this.sys.bpf(BPF_MAP_GET_NEXT_KEY, { map_fd: this.fd, key, next_key });
      if (result === ENOENT) return;
      if (result < 0) throw refusal(this.sys, result, 'BPF_MAP_GET_NEXT_KEY', `in map ${this.name}`);
      yield next_key.slice();
      key = next_key;
    }
  }

  *keys(): Generator<K> {
    for (const key of this.keysBytes()) yield this.#decodedKey(key) as K;
  }

  *values(): Generator<V> {
    for (const [, value] of this.entries()) yield value;
  }

  /** Keys and values as bytes. */
  *entriesBytes(): Generator<[Uint8Array, Uint8Array]> {
    for (const key of this.keysBytes()) {
      const value = this.getBytes(key);
      if (value) yield [key, value];
    }
  }

  /** Keys and values, decoded by BTF; bytes where the map has none. */
  *entries(): Generator<[K, V]> {
    for (const [key, value] of this.entriesBytes()) yield [this.#decodedKey(key) as K, this.#decoded(value) as V];
  }

  [Symbol.iterator](): Generator<[K, V]> {
    return this.entries();
  }

  forEach(visit: (value: V, key: K, map: this) => void): void {
    for (const [key, value] of this.entries()) visit(value, key, this);
  }

  /** Makes the map read-only for system calls. */
  freeze(): this {
    call(this.sys, BPF_MAP_FREEZE, { map_fd: this.fd }, `of map ${this.name}`);
    return this;
  }

  /** JSON text of a value in the shapes of bpftool; per-CPU values as an array. */
  valueJson(value: Uint8Array): string {
    return this.#json(this.spec.btf_value_type_id, value, this.isPerCpu ? this.#stride() : value.length);
  }

  keyJson(key: Uint8Array): string {
    return this.#json(this.spec.btf_key_type_id, key, key.length);
  }

  get isPerCpu(): boolean {
    return PERCPU_MAP_TYPES.has(this.spec.map_type);
  }

  /** Processors that per-CPU values are kept for; 1 for other maps. */
  get cpus(): number {
    if (!this.isPerCpu) return 1;
    this.#cpus ||= possibleCpus(this.sys);
    return this.#cpus;
  }

  #json(type: number, bytes: Uint8Array, step: number): string {
    const one = (part: Uint8Array): string => (this.#btf && type ? formatJson(this.#btf, type, part) : `[${part.join(',')}]`);
    if (step === bytes.length) return one(bytes);
    return `[${this.#perCpu(bytes)
      .map((part) => one(part))
      .join(',')}]`;
  }

  #stride(): number {
    return (this.spec.value_size + 7) & ~7;
  }

  #valueBytes(): number {
    return this.isPerCpu ? this.#stride() * this.cpus : this.spec.value_size;
  }

  #perCpu(bytes: Uint8Array): Uint8Array[] {
    const step = this.#stride();
    return Array.from({ length: bytes.length / step }, (_, i) => bytes.subarray(i * step, i * step + this.spec.value_size));
  }

  #decodedKey(key: Uint8Array): BtfValue {
    return this.#btf && this.spec.btf_key_type_id ? decodeValue(this.#btf, this.spec.btf_key_type_id, key) : key;
  }

  #decoded(value: Uint8Array): BtfValue {
    const type = this.spec.btf_value_type_id;
    const one = (bytes: Uint8Array): BtfValue => (this.#btf && type ? decodeValue(this.#btf, type, bytes) : bytes.slice());
    return this.isPerCpu ? this.#perCpu(value).map(one) : one(value);
  }

  #key(key: MapInput): Uint8Array {
    return this.#bytes(key, this.spec.key_size, this.spec.btf_key_type_id, 'key');
  }

  #value(value: MapInput): Uint8Array {
    if (!this.isPerCpu) return this.#bytes(value, this.spec.value_size, this.spec.btf_value_type_id, 'value');
    if (value instanceof Uint8Array && value.length === this.#valueBytes()) return value;
    const parts = Array.isArray(value) && value.length === this.cpus ? value : Array.from({ length: this.cpus }, () => value);
    const all = new Uint8Array(this.#valueBytes());
    parts.forEach((part: MapInput, i) =>
      all.set(this.#bytes(part, this.spec.value_size, this.spec.btf_value_type_id, 'value'), i * this.#stride()),
    );
    return all;
  }

  #bytes(input: MapInput, size: number, type: number, what: 'key' | 'value'): Uint8Array {
    const bytes =
      input instanceof Uint8Array && (!type || input.length === size) ? input : this.#encode(input, size, type, what);
    if (bytes.length === size) return bytes;
    throw new BpfError(22, 'bpf', `a ${what} of map ${this.name} has ${size} bytes, not ${bytes.length}`, { arg: what });
  }

  #encode(input: MapInput, size: number, type: number, what: string): Uint8Array {
    if (this.#btf && type) return encodeValue(this.#btf, type, input);
    if ((typeof input === 'number' || typeof input === 'bigint') && size <= 8) {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigInt64(0, BigInt(input), true);
      return bytes.subarray(0, size);
    }
    throw new BpfError(22, 'bpf', `a ${what} of map ${this.name} must be given as ${size} bytes: its BTF type is not known`, {
      arg: what,
    });
  }
}
