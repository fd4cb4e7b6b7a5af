/** A map: its attributes, its header in the arena, and what its type keeps of it. */

import type { BtfField, VerifierMap } from '@libbpf-ts/verifier';
import { MAP_HEADER, MAP_HEADER_SIZE, type MapHeaderField } from '@libbpf-ts/vm';
import { BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG, KernelError } from '@libbpf-ts/uapi';

import type { BtfObject } from './btf-object.ts';
import type { Erased } from './erased.ts';
import type { Fork, Twinnable } from './fork.ts';
import type { Kernel } from './kernel.ts';
import type { MapCreateAttr, MapTypeOps } from './map-type.ts';
import { KernelObject } from './object.ts';
import type { Task } from './task.ts';

/** What a map is from its creation on. */
export interface MapAttributes {
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly name: string;
  readonly extra: bigint;
  readonly numaNode: number;
}

/** The pattern of inner maps (`inner_map_meta`): a description, not a map. */
export interface MapTemplate {
  readonly ops: MapTypeOps;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly record: readonly BtfField[];
  readonly btf: BtfObject | undefined;
  readonly btfValueTypeId: number;
}

export class BpfMap<T = Erased> extends KernelObject implements Twinnable {
  readonly kind = 'map' as const;
  readonly attributes: MapAttributes;
  /** Address of the header: what a program holds as its map pointer. */
  readonly address: number;
  /** The type's own. */
  data: T;
  /** BPF_F_*; a type may add bits while it allocates (devmap adds BPF_F_RDONLY_PROG). */
  flags: number;
  /** BPF_MAP_FREEZE was called: bpf(2) writes no more. */
  frozen = false;
  /** Writable mappings (mmap) of user space: while there are any the map can't be frozen. */
  writers = 0;
  btf: BtfObject | undefined;
  btfKeyTypeId = 0;
  btfValueTypeId = 0;
  btfVmlinuxValueTypeId = 0;
  /** Managed fields of the value: spin locks, timers, kptrs. */
  record: readonly BtfField[] = [];
  #inner: MapTemplate | undefined;
  /** What programs a prog_array (and others that hold programs) admits: that of the first program (`map->owner`). Owned by the type. */
  owner: { readonly type: number; readonly jited: boolean; readonly xdpHasFrags: boolean } | undefined;
  #ops: MapTypeOps<T> | undefined;

  private constructor(kernel: Kernel, attributes: MapAttributes, flags: number, address: number) {
    super(kernel);
    this.attributes = attributes;
    this.flags = flags;
    this.address = address;
    this.data = undefined as T;
  }

  /** `ops->map_alloc` with the header around it. Throws what the type throws. */
  static create<T>(kernel: Kernel, ops: MapTypeOps<T>, attr: MapCreateAttr, name: string, task: Task): BpfMap<T> {
    const attributes: MapAttributes = {
      type: attr.map_type,
      keySize: attr.key_size,
      valueSize: attr.value_size,
      maxEntries: attr.max_entries,
      name,
      extra: attr.map_extra,
      numaNode: attr.numa_node,
    };
    const { arena } = kernel;
    const address = arena.allocate(ops.headerSize ?? MAP_HEADER_SIZE, 64);
    const map = new BpfMap<T>(kernel, attributes, attr.map_flags, address);
    // The id that it will get when it is complete: what it holds meanwhile is held under it.
    map.id = kernel.maps.nextId();
    map.#ops = ops;
    map.setHeader('map_type', attr.map_type);
    map.setHeader('key_size', attr.key_size);
    map.setHeader('value_size', attr.value_size);
    map.setHeader('max_entries', attr.max_entries);
    map.setHeader('map_flags', attr.map_flags);
    try {
      map.data = ops.alloc(map, attr, task);
    } catch (error) {
      arena.free(address);
      throw error;
    }
    kernel.mapsByAddress.set(address, map);
    return map;
  }

  /** The rows of its type, this kernel's own. */
  get ops(): MapTypeOps<T> {
    return (this.#ops ??= this.kernel.mapTypes.get(this.attributes.type) as MapTypeOps<T>);
  }

  get type(): number {
    return this.attributes.type;
  }
  get name(): string {
    return this.attributes.name;
  }
  get keySize(): number {
    return this.attributes.keySize;
  }
  get valueSize(): number {
    return this.attributes.valueSize;
  }
  get maxEntries(): number {
    return this.attributes.maxEntries;
  }

  /** A u32 field of the header. */
  header(field: MapHeaderField): number {
    return this.kernel.arena.u32[(this.address + MAP_HEADER[field]) >> 2]!;
  }
  setHeader(field: MapHeaderField, value: number): void {
    this.kernel.arena.u32[(this.address + MAP_HEADER[field]) >> 2] = value;
  }

  /** Address of the value for a key in the arena, or 0: what bpf_map_lookup_elem gives a program. */
  lookup(key: number): number {
    const { ops } = this;
    if (ops.lookup) return ops.lookup(this, key);
    const slot = this.header('lookup_slot');
    return slot === 0 ? 0 : (this.kernel.runtime.functions.get(slot)!(this.address, key) as number) >>> 0;
  }

  /** Bytes of a value at the bpf(2) border. */
  get userValueSize(): number {
    return this.ops.userValueSize?.(this) ?? this.attributes.valueSize;
  }

  /** What the verifier needs to know. */
  verifierView(): VerifierMap {
    const { attributes, kernel, ops } = this;
    return {
      id: this.id,
      address: this.address,
      map_type: attributes.type,
      key_size: attributes.keySize,
      value_size: attributes.valueSize,
      max_entries: attributes.maxEntries,
      map_flags: this.flags,
      name: attributes.name,
      ...(this.record.length > 0 ? { record: this.record } : {}),
      ...(this.inner ? { inner: innerView(this.inner) } : {}),
      ...(ops.valueAddress ? { valueAddress: (off: number) => this.valueAddress(off) } : {}),
      ...(this.isReadOnly ? { frozenValue: (off: number, size: number) => frozenValue(kernel, this, off, size) } : {}),
      ...(this.btf ? { btf: this.btf.verifierView, btf_value_type_id: this.btfValueTypeId } : {}),
    };
  }

  /** Neither programs nor bpf(2) can write: its contents are constants (`bpf_map_is_rdonly`). */
  get isReadOnly(): boolean {
    return (this.flags & BPF_F_RDONLY_PROG) !== 0 && this.frozen;
  }

  get programsMayRead(): boolean {
    return (this.flags & BPF_F_WRONLY_PROG) === 0;
  }
  get programsMayWrite(): boolean {
    return (this.flags & BPF_F_RDONLY_PROG) === 0;
  }

  /** Address of byte `off` of the only value. Throws EINVAL. */
  valueAddress(off: number): number {
    const address = this.ops.valueAddress?.(this, off);
    if (address === undefined)
      throw new KernelError('EINVAL', `map ${this.id} has no byte ${off} that a program could point to`);
    return address;
  }

  /** Keeps the BTF of its key and value alive. */
  holdBtf(btf: BtfObject): void {
    btf.acquire({ kind: 'map', id: this.id, key: '' });
    this.btf = btf;
  }

  /**
   * For a map in map: what its inner maps must be like. Set it once, while the map is allocated, to the map that serves as the pattern:
   * a description is kept, not the map, and only the pattern's BTF is held (`bpf_map_meta_alloc`).
   */
  get inner(): MapTemplate | undefined {
    return this.#inner;
  }
  set inner(pattern: MapTemplate) {
    const { ops, type, keySize, valueSize, maxEntries, flags, record, btf, btfValueTypeId } = pattern;
    btf?.acquire({ kind: 'map', id: this.id, key: 'inner map' });
    this.#inner = { ops, type, keySize, valueSize, maxEntries, flags, record, btf, btfValueTypeId };
  }

  makeTwin(fork: Fork): BpfMap<T> {
    const twin = new BpfMap<T>(fork.kernel, this.attributes, this.flags, this.address);
    fork.bind(this, twin);
    twin.copyHolds(this);
    twin.frozen = this.frozen;
    twin.writers = this.writers;
    twin.btf = fork.twinOf(this.btf);
    twin.btfKeyTypeId = this.btfKeyTypeId;
    twin.btfValueTypeId = this.btfValueTypeId;
    twin.btfVmlinuxValueTypeId = this.btfVmlinuxValueTypeId;
    twin.record = this.record;
    twin.#inner = this.#inner && { ...this.#inner, btf: fork.twinOf(this.#inner.btf) };
    twin.owner = this.owner;
    fork.kernel.mapsByAddress.set(twin.address, twin);
    twin.data = this.ops.clone(this.data, fork, this);
    return twin;
  }

  protected override lastUserRefGone(): void {
    this.ops.lastUserRefGone?.(this);
  }

  protected free(): void {
    this.kernel.defer(() => {
      this.ops.free(this);
      this.kernel.mapsByAddress.delete(this.address);
      this.kernel.arena.free(this.address);
      this.inner?.btf?.release({ kind: 'map', id: this.id, key: 'inner map' });
      this.btf?.release({ kind: 'map', id: this.id, key: '' });
    });
  }
}

function innerView({ type, keySize, valueSize, maxEntries, flags, record, btf, btfValueTypeId }: MapTemplate): VerifierMap {
  return {
    id: 0,
    address: 0,
    map_type: type,
    key_size: keySize,
    value_size: valueSize,
    max_entries: maxEntries,
    map_flags: flags,
    name: '',
    ...(record.length > 0 ? { record } : {}),
    ...(btf ? { btf: btf.verifierView, btf_value_type_id: btfValueTypeId } : {}),
  };
}

function frozenValue(
  kernel: Kernel,
  map: BpfMap,
  off: number,
  size: number,
): { readonly low: number; readonly high: number } | undefined {
  const address = off + size <= map.valueSize ? map.ops.valueAddress?.(map, off) : undefined;
  if (address === undefined) return undefined;
  const { view } = kernel.arena;
  switch (size) {
    case 1:
      return { low: view.getUint8(address), high: 0 };
    case 2:
      return { low: view.getUint16(address, true), high: 0 };
    case 4:
      return { low: view.getUint32(address, true), high: 0 };
    case 8:
      return { low: view.getUint32(address, true), high: view.getUint32(address + 4, true) };
    default:
      return undefined;
  }
}
