/** Values by type as text: JSON as bpftool writes it, and one line for a person. */

import type { Btf } from './btf.ts';
import { decodeValue, type BtfValue } from './value.ts';

/**
 * JSON text of a value, in the shapes of `bpftool map dump -j`: enum values by name, C strings as strings, byte arrays as arrays
 * of numbers, 64-bit integers as plain digits.
 */
export function formatJson(btf: Btf, id: number, bytes: Uint8Array): string {
  return jsonText(decodeValue(btf, id, bytes));
}

/** JSON text of a decoded value; bigints become plain digits. */
export function jsonText(value: BtfValue): string {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : `"${value}"`;
  if (typeof value !== 'object') return JSON.stringify(value);
  if (value instanceof Uint8Array) return `[${value.join(',')}]`;
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`;
  return `{${Object.entries(value)
    .map(([name, item]) => `${JSON.stringify(name)}:${jsonText(item)}`)
    .join(',')}}`;
}

/** A value on one line: `{ addr: 167772161, port: 80, name: "eth0" }`; byte arrays in hexadecimal. */
export function formatText(btf: Btf, id: number, bytes: Uint8Array): string {
  return plainText(decodeValue(btf, id, bytes));
}

/** A decoded value on one line. */
export function plainText(value: BtfValue): string {
  if (typeof value === 'string') return /^[A-Za-z_]\w*$/.test(value) ? value : JSON.stringify(value);
  if (typeof value !== 'object') return String(value);
  if (value instanceof Uint8Array) return `[${Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join(' ')}]`;
  if (Array.isArray(value)) return `[${value.map(plainText).join(', ')}]`;
  const items = Object.entries(value).map(([name, item]) => `${name}: ${plainText(item)}`);
  return items.length === 0 ? '{}' : `{ ${items.join(', ')} }`;
}
