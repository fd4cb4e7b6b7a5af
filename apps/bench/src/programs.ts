/** The programs of `programs/`, what they need, and the packet that all of them read. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { linkProgram } from './link.ts';
import type { LinkedProgram } from './link.ts';

export interface BenchMap {
  readonly name: string;
  readonly type: 'hash' | 'array';
  readonly key_size: number;
  readonly value_size: number;
  readonly max_entries: number;
  /** Keys 0 to `filled` - 1 are put in before the first run, value = key. */
  readonly filled?: number;
}

export interface BenchProgram extends LinkedProgram {
  readonly name: string;
  readonly maps: readonly BenchMap[];
  /** No call to a helper or a subprogram inside the loop that is measured. */
  readonly callFree: boolean;
}

const MAPS: Readonly<Record<string, readonly BenchMap[]>> = {
  sieve: [{ name: 'tables', type: 'array', key_size: 4, value_size: 400, max_entries: 1 }],
  arrmap: [{ name: 'counters', type: 'array', key_size: 4, value_size: 8, max_entries: 1024 }],
  hashmap: [
    { name: 'flows', type: 'hash', key_size: 4, value_size: 8, max_entries: 16_384, filled: 8192 },
    { name: 'position', type: 'array', key_size: 4, value_size: 4, max_entries: 1 },
  ],
};
const WITH_CALLS = new Set(['arrmap', 'hashmap', 'calls']);

/** The empty program, whose time is subtracted from the others. */
export const EMPTY = 'tiny';
/** The eleven kinds. */
export const KINDS: readonly string[] = [
  'loop',
  'sieve',
  'muldiv',
  'siphash',
  'jhash',
  'csum',
  'memops',
  'parse32',
  'arrmap',
  'hashmap',
  'calls',
];

/** Reads and links an object of `programs/`. */
export function benchProgram(name: string): BenchProgram {
  const path = fileURLToPath(new URL(`../programs/${name}.o`, import.meta.url));
  return { name, maps: MAPS[name] ?? [], callFree: !WITH_CALLS.has(name), ...linkProgram(readFileSync(path), name) };
}

/** 1514 bytes: Ethernet, one VLAN tag, IPv4 with options, TCP to port 443, and a payload that is not all the same. */
export function benchPacket(): Uint8Array {
  const packet = new Uint8Array(1514);
  for (let at = 0; at < packet.length; at++) packet[at] = (at * 167 + (at >> 3)) & 255;
  packet.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0x00, 0x00, 0x2a, 0x08, 0x00]);
  packet.set([0x46, 0, 0x05, 0xd8, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 192, 168, 7, 9, 1, 1, 1, 1], 18);
  packet.set([0xc3, 0x50, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x12], 42);
  return packet;
}
