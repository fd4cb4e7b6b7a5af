/** The lookup functions as WebAssembly, of type (map: i32, key: i32) -> i32: address of the value, 0 where there is none. */

import { MAP_HEADER } from '../map-header.ts';
import { CodeWriter } from '../wasm/code.ts';
import { OP } from '../wasm/op.ts';
import type { ValueType } from '../wasm/op.ts';
import { emitHash, Locals } from './hash.ts';
import type { KeySize } from './hash.ts';
import { HASH_ELEMENT, hashElementLayout, TRIE_INTERMEDIATE, TRIE_NODE } from './layout.ts';
import type { MapLookupKind } from './layout.ts';

export interface LookupBody {
  readonly code: CodeWriter;
  readonly locals: readonly ValueType[];
}

export interface LookupOptions {
  /** Address of the u32 that holds the current CPU. */
  readonly cpuCell: number;
  /** The key size, where the function is for one map; otherwise the header's is read. */
  readonly keySize?: number | undefined;
}

const MAP = 0;
const KEY = 1;

/** The body of the lookup function of a kind of map. */
export function emitLookup(kind: MapLookupKind, options: LookupOptions): LookupBody {
  return emitters[kind](kind, options);
}

const emitters: Record<MapLookupKind, (kind: MapLookupKind, options: LookupOptions) => LookupBody> = {
  array: emitArray,
  percpu_array: emitArray,
  array_of_maps: emitArray,
  hash: emitHashLookup,
  percpu_hash: emitHashLookup,
  lru_hash: emitHashLookup,
  lru_percpu_hash: emitHashLookup,
  hash_of_maps: emitHashLookup,
  lpm_trie: emitTrieLookup,
};

function emitArray(kind: MapLookupKind, { cpuCell }: LookupOptions): LookupBody {
  const code = new CodeWriter();
  const locals = new Locals(2);
  const index = locals.add();
  code.get(KEY).access(OP.i32_load).tee(index).get(MAP).access(OP.i32_load, MAP_HEADER.max_entries).op(OP.i32_ge_u);
  code.open(OP.if).i32(0).op(OP.return).end();
  code.get(MAP).access(OP.i32_load, MAP_HEADER.data);
  code.get(index).get(MAP).access(OP.i32_load, MAP_HEADER.stride).op(OP.i32_mul, OP.i32_add);
  if (kind === 'percpu_array') emitCpuOffset(code, cpuCell);
  if (kind === 'array_of_maps') code.access(OP.i32_load);
  return { code, locals: locals.types };
}

/** Adds the offset of the current CPU's copy to the address on the stack. */
function emitCpuOffset(code: CodeWriter, cpuCell: number): void {
  code.i32(cpuCell).access(OP.i32_load).get(MAP).access(OP.i32_load, MAP_HEADER.cpu_stride).op(OP.i32_mul, OP.i32_add);
}

function emitHashLookup(kind: MapLookupKind, { cpuCell, keySize }: LookupOptions): LookupBody {
  const code = new CodeWriter();
  const locals = new Locals(2);
  const hash = locals.add();
  const element = locals.add();
  let size: KeySize;
  if (keySize === undefined) {
    size = { local: locals.add() };
    code.get(MAP).access(OP.i32_load, MAP_HEADER.key_size).set(size.local);
  } else size = { bytes: keySize };
  code.get(MAP).access(OP.i32_load, MAP_HEADER.seed).set(hash);
  emitHash(code, locals, KEY, size, hash);
  code.get(MAP).access(OP.i32_load, MAP_HEADER.buckets);
  code.get(hash).get(MAP).access(OP.i32_load, MAP_HEADER.mask).op(OP.i32_and).i32(2).op(OP.i32_shl, OP.i32_add);
  code.access(OP.i32_load).set(element);
  code.open(OP.loop);
  code.get(element).op(OP.i32_eqz).open(OP.if).i32(0).op(OP.return).end();
  code.open(OP.block);
  // One word of key is compared as fast as its hash.
  if (!('bytes' in size) || (size.bytes !== 4 && size.bytes !== 8))
    code.get(element).access(OP.i32_load, HASH_ELEMENT.hash).get(hash).op(OP.i32_ne).brIf(0);
  const { keyOffset } = hashElementLayout(kind, 0);
  emitCompare(code, locals, element, keyOffset, size);
  if (keyOffset === 16) code.get(element).i32(1).access(OP.i32_store, HASH_ELEMENT.referenced);
  emitValueAddress(code, element, keyOffset, size);
  if (kind === 'percpu_hash' || kind === 'lru_percpu_hash') emitCpuOffset(code, cpuCell);
  if (kind === 'hash_of_maps') code.access(OP.i32_load);
  code.op(OP.return).end();
  code.get(element).access(OP.i32_load, HASH_ELEMENT.next).set(element).br(0).end().op(OP.unreachable);
  return { code, locals: locals.types };
}

function emitValueAddress(code: CodeWriter, element: number, keyOffset: number, size: KeySize): void {
  code.get(element);
  if ('bytes' in size) code.i32(keyOffset + ((size.bytes + 7) & ~7)).op(OP.i32_add);
  else code.get(size.local).i32(7).op(OP.i32_add).i32(-8).op(OP.i32_and, OP.i32_add).i32(keyOffset).op(OP.i32_add);
}

/** Leaves the enclosing block where the element's key is not the key. */
function emitCompare(code: CodeWriter, locals: Locals, element: number, keyOffset: number, size: KeySize): void {
  if (!('bytes' in size)) return emitCompareLoop(code, locals, element, keyOffset, size.local);
  let at = 0;
  const differ = (load: number, ne: number): unknown =>
    code
      .get(element)
      .access(load, keyOffset + at)
      .get(KEY)
      .access(load, at)
      .op(ne)
      .brIf(0);
  for (; at + 8 <= size.bytes; at += 8) differ(OP.i64_load, OP.i64_ne);
  for (; at + 4 <= size.bytes; at += 4) differ(OP.i32_load, OP.i32_ne);
  for (; at + 2 <= size.bytes; at += 2) differ(OP.i32_load16_u, OP.i32_ne);
  for (; at < size.bytes; at += 1) differ(OP.i32_load8_u, OP.i32_ne);
}

function emitCompareLoop(code: CodeWriter, locals: Locals, element: number, keyOffset: number, size: number): void {
  const at = locals.add();
  code.i32(0).set(at);
  const step = (bytes: number, load: number): void => {
    code.open(OP.block).open(OP.loop);
    code.get(at).i32(bytes).op(OP.i32_add).get(size).op(OP.i32_gt_u).brIf(1);
    code
      .get(element)
      .get(at)
      .op(OP.i32_add)
      .access(load, keyOffset)
      .get(KEY)
      .get(at)
      .op(OP.i32_add)
      .access(load)
      .op(OP.i32_ne)
      .brIf(2);
    code.get(at).i32(bytes).op(OP.i32_add).set(at).br(0).end().end();
  };
  step(4, OP.i32_load);
  step(1, OP.i32_load8_u);
}

/** The walk of trie_lookup_elem: the deepest node with a value whose prefix is one of the key's. */
function emitTrieLookup(_kind: MapLookupKind, _options: LookupOptions): LookupBody {
  const code = new CodeWriter();
  const locals = new Locals(2);
  const [node, found, limit, at, word, max] = [
    locals.add(),
    locals.add(),
    locals.add(),
    locals.add(),
    locals.add(),
    locals.add(),
  ];
  code.get(MAP).access(OP.i32_load, MAP_HEADER.root).set(node);
  code.get(MAP).access(OP.i32_load, MAP_HEADER.key_size).i32(4).op(OP.i32_sub).i32(3).op(OP.i32_shl).set(max);
  code.get(KEY).access(OP.i32_load).get(max).op(OP.i32_gt_u).open(OP.if).i32(0).op(OP.return).end();
  code.open(OP.block).open(OP.loop).get(node).op(OP.i32_eqz).brIf(1);
  // limit = the shorter of the two prefixes; `at` counts the bits that agree, up to it.
  code.get(node).access(OP.i32_load, TRIE_NODE.prefixlen).tee(limit).get(KEY).access(OP.i32_load).tee(at);
  code.get(limit).get(at).op(OP.i32_lt_u, OP.select).set(limit).i32(0).set(at);
  code.open(OP.block).open(OP.loop).get(at).get(limit).op(OP.i32_ge_u).brIf(1);
  code.get(node).get(at).i32(3).op(OP.i32_shr_u, OP.i32_add).access(OP.i32_load8_u, TRIE_NODE.data);
  code.get(KEY).get(at).i32(3).op(OP.i32_shr_u, OP.i32_add).access(OP.i32_load8_u, 4).op(OP.i32_xor).tee(word);
  code.open(OP.if).get(at).get(word).op(OP.i32_clz).i32(24).op(OP.i32_sub, OP.i32_add).set(at).br(2).end();
  code.get(at).i32(8).op(OP.i32_add).set(at).br(0).end().end();
  code.get(limit).get(at).get(limit).get(at).op(OP.i32_lt_u, OP.select).set(at);
  code.get(at).get(max).op(OP.i32_eq).open(OP.if).get(node).set(found).br(2).end();
  code.get(at).get(node).access(OP.i32_load, TRIE_NODE.prefixlen).op(OP.i32_lt_u).brIf(1);
  code
    .get(node)
    .get(found)
    .get(node)
    .access(OP.i32_load, TRIE_NODE.flags)
    .i32(TRIE_INTERMEDIATE)
    .op(OP.i32_and, OP.i32_eqz, OP.select);
  code.set(found);
  // The bit after the node's prefix chooses the child.
  code.get(node).access(OP.i32_load, TRIE_NODE.prefixlen).set(at);
  code.get(node).get(KEY).get(at).i32(3).op(OP.i32_shr_u, OP.i32_add).access(OP.i32_load8_u, 4);
  code.i32(7).get(at).i32(7).op(OP.i32_and, OP.i32_sub, OP.i32_shr_u).i32(1).op(OP.i32_and).i32(2).op(OP.i32_shl, OP.i32_add);
  code.access(OP.i32_load, TRIE_NODE.child).set(node).br(0).end().end();
  code.get(found).op(OP.i32_eqz).open(OP.if).i32(0).op(OP.return).end();
  code
    .get(found)
    .get(max)
    .i32(3)
    .op(OP.i32_shr_u)
    .i32(7)
    .op(OP.i32_add)
    .i32(-8)
    .op(OP.i32_and, OP.i32_add)
    .i32(TRIE_NODE.data)
    .op(OP.i32_add);
  return { code, locals: locals.types };
}
