/** `--set MAP:KEY=VALUE`: what a map holds before the first packet. */

import type { BpfMap, MapInput } from 'libbpf-ts';
import { Failure, usage } from './failure.ts';

export interface MapSetting {
  readonly map: string;
  readonly key: string;
  readonly value: string;
}

/** Splits the words of one `--set`. */
export function parseSetting(text: string): MapSetting {
  const colon = text.indexOf(':');
  const equals = text.indexOf('=', colon + 1);
  if (colon < 1 || equals < 0) throw usage(`--set ${text}: expected MAP:KEY=VALUE`);
  return { map: text.slice(0, colon), key: text.slice(colon + 1, equals), value: text.slice(equals + 1) };
}

/** Puts it into the map. Throws a Failure that names the setting. */
export function applySetting(map: BpfMap, { key, value }: MapSetting): void {
  try {
    map.set(parseInput(key), parseInput(value));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new Failure(`--set ${map.name}:${key}=${value}: ${error.message.split('\n')[0]}`);
  }
}

/** `hex:0a0b`, a dotted IPv4 address (four bytes as on the wire), or JSON; a number too large for a double is a bigint. */
export function parseInput(text: string): MapInput {
  if (text.startsWith('hex:')) return hexBytes(text);
  if (/^\d+\.\d+\.\d+\.\d+$/.test(text)) return ipv4(text);
  if (/^-?(0x[0-9a-f]+|\d+)$/i.test(text)) return integer(text);
  try {
    return JSON.parse(text) as MapInput;
  } catch {
    throw usage(`'${text}' is neither a number, an IPv4 address, hex:BYTES nor JSON`);
  }
}

function integer(text: string): number | bigint {
  const value = text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text);
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

function hexBytes(text: string): Uint8Array {
  const digits = text.slice(4).replace(/[\s_:]/g, '');
  if (!/^([0-9a-f]{2})+$/i.test(digits)) throw usage(`'${text}' is not an even number of hex digits`);
  return Uint8Array.from(digits.match(/../g)!, (pair) => Number.parseInt(pair, 16));
}

function ipv4(text: string): Uint8Array {
  const parts = text.split('.').map(Number);
  if (parts.some((part) => part > 255)) throw usage(`'${text}' is no IPv4 address`);
  return Uint8Array.from(parts);
}
