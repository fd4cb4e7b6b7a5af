/** Where the words of a ring buffer are, for the functions in WebAssembly and for `maps`. */

/** Offsets from the ring's first page. */
export const RING = {
  /** Address of the map's header. */
  map: 0,
  /** Bytes of data, less one. */
  mask: 4,
  /** Position up to which every record is complete (u64). */
  pending: 8,
  /** Not 0 while somebody in JavaScript waits for data: see VmRuntime.wakers. */
  waited: 16,
  /** u64 at the start of the consumer's page: how far user space has read. */
  consumer: 4096,
  /** u64 at the start of the producer's page: how far records are reserved. */
  producer: 8192,
  data: 12_288,
} as const;

/** Bytes of a record's header: u32 length with flags, u32 distance in pages from the ring's first page. */
export const RECORD_HEADER = 8;
/** The record is reserved and not yet submitted; the record was discarded. */
export const BUSY: number = 0x8000_0000;
export const DISCARD: number = 0x4000_0000;
/** The largest record. */
export const MAX_RECORD = 0x3fff_ffff;
