/** The header that a map pointer points to: what WebAssembly needs of a map. Written by `maps`, read by the engines and lookups. */

/** Size in bytes of a map header. */
export const MAP_HEADER_SIZE = 128;

/** Byte offsets of the u32 fields of a map header. */
export const MAP_HEADER = {
  map_id: 0,
  map_type: 4,
  key_size: 8,
  value_size: 12,
  max_entries: 16,
  map_flags: 20,
  /** Slot of the function (map: i32, key: i32) -> i32 that finds a value; 0 where a program can't look up in this map. */
  lookup_slot: 24,
  /** Address of the first element (array), of u32 program slots (prog_array), or of the first per-CPU area. */
  data: 28,
  /** Bytes between elements. */
  stride: 32,
  /** Number of buckets or elements, a power of two, less one. */
  mask: 36,
  /** Address of u32 bucket heads. */
  buckets: 40,
  /** Elements present now. */
  count: 44,
  /** Bytes between the copies of two CPUs, for per-CPU maps. */
  cpu_stride: 48,
  /** Seed of the hash. */
  seed: 52,
  /** Address of the root node of a trie. */
  root: 56,
  private3: 60,
  /** From here on the map type decides. */
  private4: 64,
} as const;
export type MapHeaderField = keyof typeof MAP_HEADER;
