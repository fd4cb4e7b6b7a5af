/** The maps that test programs name, as a kernel makes them and as the verifier sees them. */

import { BtfBuilder, parseBtf } from '@libbpf-ts/btf';
import type { BtfField, VerifierMap } from '@libbpf-ts/verifier';
import { adaptBtf } from '../../src/adapt-btf.ts';

/** How a map is made; field names as tools/oracle/serve.py reads them. */
export interface MapSpec {
  readonly type: number;
  readonly key: number;
  readonly value: number;
  readonly max: number;
  readonly flags?: number;
  readonly inner?: string;
  /** BTF in hex, and the ids of the key and value types in it. */
  readonly btf?: string;
  readonly key_type?: number;
  readonly value_type?: number;
  readonly extra?: number;
  /** Values of an array, in hex. */
  readonly contents?: readonly string[];
  readonly freeze?: boolean;
  /** What the kernel finds in the BTF of the value. */
  readonly record?: readonly BtfField[];
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** BTF with `int` as key (1) and a value struct; `members` makes them. */
function valueBtf(
  name: string,
  size: number,
  members: (btf: BtfBuilder) => Parameters<BtfBuilder['struct']>[2],
): Pick<MapSpec, 'btf' | 'key_type' | 'value_type'> {
  const btf = new BtfBuilder();
  const key = btf.int('int', 4, 1);
  const value = btf.struct(name, size, members(btf));
  return { btf: hex(btf.encode()), key_type: key, value_type: value };
}

const at = (name: string, type: number, offset: number): { name: string; type: number; bit_offset: number } => ({
  name,
  type,
  bit_offset: offset * 8,
});

const lockValue = valueBtf('locked', 16, (btf) => {
  const lock = btf.struct('bpf_spin_lock', 4, [at('val', 1, 0)]);
  return [at('count', 1, 0), at('lock', lock, 4), at('low', 1, 8), at('high', 1, 12)];
});

const timerValue = valueBtf('timed', 24, (btf) => {
  const u64 = btf.int('unsigned long long', 8, 0);
  const words = btf.array(u64, 2, 1);
  const timer = btf.struct('bpf_timer', 16, [at('__opaque', words, 0)]);
  return [at('timer', timer, 0), at('count', u64, 16)];
});

const storageValue = valueBtf('stored', 8, () => [at('a', 1, 0), at('b', 1, 4)]);

/** By the name that a test program gives: `r1 = map[array]`. */
export const MAPS: Readonly<Record<string, MapSpec>> = {
  array: { type: 2, key: 4, value: 8, max: 4 },
  array1: { type: 2, key: 4, value: 16, max: 1 },
  array48: { type: 2, key: 4, value: 48, max: 2 },
  hash: { type: 1, key: 4, value: 8, max: 16 },
  hash48: { type: 1, key: 8, value: 48, max: 16 },
  hash16: { type: 1, key: 16, value: 16, max: 16 },
  percpu_hash: { type: 5, key: 4, value: 8, max: 16 },
  percpu_array: { type: 6, key: 4, value: 8, max: 4 },
  lru: { type: 9, key: 4, value: 8, max: 16 },
  lpm: { type: 11, key: 8, value: 8, max: 16, flags: 1 },
  readonly: { type: 2, key: 4, value: 16, max: 1, flags: 0x80 },
  writeonly: { type: 2, key: 4, value: 16, max: 1, flags: 0x100 },
  frozen: { type: 2, key: 4, value: 16, max: 1, flags: 0x80, contents: ['01000000020000006865790000000000'], freeze: true },
  prog_array: { type: 3, key: 4, value: 4, max: 4 },
  events: { type: 4, key: 4, value: 4, max: 2 },
  stacks: { type: 7, key: 4, value: 80, max: 4 },
  cgroups: { type: 8, key: 4, value: 4, max: 1 },
  outer: { type: 12, key: 4, value: 4, max: 2, inner: 'array' },
  outer_hash: { type: 13, key: 4, value: 4, max: 2, inner: 'array' },
  devmap: { type: 14, key: 4, value: 4, max: 2 },
  devmap_hash: { type: 25, key: 4, value: 4, max: 2 },
  cpumap: { type: 16, key: 4, value: 4, max: 2 },
  xskmap: { type: 17, key: 4, value: 4, max: 2 },
  sockmap: { type: 15, key: 4, value: 4, max: 2 },
  sockhash: { type: 18, key: 4, value: 4, max: 2 },
  reuseport: { type: 20, key: 4, value: 8, max: 2 },
  queue: { type: 22, key: 0, value: 8, max: 4 },
  stack: { type: 23, key: 0, value: 8, max: 4 },
  bloom: { type: 30, key: 0, value: 8, max: 4 },
  ringbuf: { type: 27, key: 0, value: 0, max: 4096 },
  user_ringbuf: { type: 31, key: 0, value: 0, max: 4096 },
  cgroup_storage: { type: 19, key: 16, value: 8, max: 0 },
  lock: { type: 2, key: 4, value: 16, max: 1, ...lockValue, record: [{ type: 'BPF_SPIN_LOCK', offset: 4, size: 4 }] },
  lock_hash: { type: 1, key: 4, value: 16, max: 4, ...lockValue, record: [{ type: 'BPF_SPIN_LOCK', offset: 4, size: 4 }] },
  timer: { type: 2, key: 4, value: 24, max: 1, ...timerValue, record: [{ type: 'BPF_TIMER', offset: 0, size: 16 }] },
  sk_storage: { type: 24, key: 4, value: 8, max: 0, flags: 1, ...storageValue },
  task_storage: { type: 29, key: 4, value: 8, max: 0, flags: 1, ...storageValue },
};

/** The map as the verifier is given it. Names are kept short as the recorder makes none: the kernel's are empty. */
export function verifierMap(name: string, id: number): VerifierMap {
  const spec = MAPS[name];
  if (!spec) throw new Error(`no map ${name}`);
  const btf = spec.btf ? adaptBtf(parseBtf(Buffer.from(spec.btf, 'hex')), false) : undefined;
  const contents = spec.freeze ? Buffer.from(spec.contents![0]!, 'hex') : undefined;
  return {
    id,
    address: 0x10000 + id * 128,
    map_type: spec.type,
    key_size: spec.key,
    value_size: spec.value,
    max_entries: spec.max,
    map_flags: spec.flags ?? 0,
    name: '',
    ...(spec.record ? { record: spec.record } : {}),
    ...(spec.inner ? { inner: verifierMap(spec.inner, id + 1000) } : {}),
    ...(spec.type === 2 ? { valueAddress: (off: number) => 0x20000 + id * 4096 + off } : {}),
    ...(contents ? { frozenValue: (off: number, size: number) => frozen(contents, off, size) } : {}),
    ...(btf ? { btf, btf_value_type_id: spec.value_type! } : {}),
  };
}

function frozen(contents: Buffer, off: number, size: number): { low: number; high: number } | undefined {
  if (off < 0 || off + size > contents.length) return undefined;
  return size === 8
    ? { low: contents.readInt32LE(off), high: contents.readInt32LE(off + 4) }
    : { low: contents.readUIntLE(off, size) | 0, high: 0 };
}
