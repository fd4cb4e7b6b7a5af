/** The format strings of bpf_trace_printk, bpf_snprintf and their kin. Mirrors bpf_bprintf_prepare and what it hands to vsnprintf. */

import type { Arena } from '@libbpf-ts/vm';

import { EINVAL } from './errno.ts';

/** One argument: a u64 in two halves. */
export interface PrintfArgument {
  readonly low: number;
  readonly high: number;
}

/** Most bytes that all strings of one format may take. */
const MAX_TEXT = 512;
const FIRST_ADDRESS = 0x1_0000;

/** The text, or -EINVAL where the format is refused. Bytes are Latin-1 characters, so that a text can be written back as it was. */
export function formatText(arena: Arena, format: Uint8Array, args: readonly PrintfArgument[]): string | number {
  const text = String.fromCharCode(...format);
  let out = '';
  let next = 0;
  for (let at = 0; at < text.length;) {
    const code = text.charCodeAt(at);
    if ((code < 0x20 && !(code >= 9 && code <= 13)) || (code >= 0x7f && code < 0xa0)) return -EINVAL;
    if (text[at] !== '%') {
      out += text[at++];
      continue;
    }
    if (text[at + 1] === '%') {
      out += '%';
      at += 2;
      continue;
    }
    const conversion = /^%([-+ 0]*)(\d*)(ll|l)?([A-Za-z])([A-Za-z0-9]*)/.exec(text.slice(at));
    const argument = args[next++];
    if (!conversion || !argument) return -EINVAL;
    const done = convert(arena, conversion, argument);
    if (done === undefined) return -EINVAL;
    out += done.text;
    at += done.length;
  }
  return out;
}

/** The text of one conversion and how much of the format it is; undefined where the kernel refuses it. */
function convert(arena: Arena, match: RegExpExecArray, argument: PrintfArgument): { text: string; length: number } | undefined {
  const [, flags = '', width = '', size = '', letter = '', suffix = ''] = match;
  const length = match[0].length - suffix.length;
  const padTo = (text: string): string => pad(text, flags, Number(width || 0));
  switch (letter) {
    case 'd':
    case 'i':
      return { text: padTo(signOf(signed(argument, size).toString(), flags)), length };
    case 'u':
      return { text: padTo(unsigned(argument, size).toString()), length };
    case 'x':
    case 'X': {
      const text = unsigned(argument, size).toString(16);
      return { text: padTo(letter === 'X' ? text.toUpperCase() : text), length };
    }
    case 'c':
      return size === '' ? { text: padTo(String.fromCharCode(argument.low & 0xff)), length } : undefined;
    // A letter or digit right behind would be a modifier that this format does not have.
    case 's':
      return suffix === '' ? { text: padTo(textAt(arena, argument, MAX_TEXT)), length } : undefined;
    case 'p':
      return pointer(arena, argument, suffix, padTo, match[0].length);
    default:
      return undefined;
  }
}

/** %p prints hashed on Linux; %px, %pK and the rest the address; %pks and %pus a string; %pi4 and %pI6 an IP address. */
function pointer(
  arena: Arena,
  argument: PrintfArgument,
  suffix: string,
  padTo: (text: string) => string,
  length: number,
): { text: string; length: number } | undefined {
  const address = unsigned(argument, 'l').toString(16);
  if (suffix === '' || suffix === 'K' || suffix === 'x') return { text: padTo(address.padStart(16, '0')), length };
  if (suffix === 'ks' || suffix === 'us') return { text: padTo(textAt(arena, argument, MAX_TEXT)), length };
  if (suffix === 'B' || suffix === 's' || suffix === 'S') return { text: padTo(`0x${address}`), length };
  const ip = /^[iI]([46])/.exec(suffix);
  return ip ? { text: padTo(ipText(arena, argument, ip[0])), length } : undefined;
}

function ipText({ u8 }: Arena, { low, high }: PrintfArgument, kind: string): string {
  const size = kind[1] === '4' ? 4 : 16;
  const at = low >>> 0;
  const readable = high === 0 && at >= FIRST_ADDRESS && at + size <= u8.length;
  const bytes = readable ? Array.from(u8.subarray(at, at + size)) : Array.from({ length: size }, () => 0);
  const separator = kind.startsWith('I');
  if (size === 4) return bytes.map((byte) => (separator ? `${byte}` : `${byte}`.padStart(3, '0'))).join('.');
  const words = Array.from({ length: 8 }, (_, index) =>
    (bytes[2 * index]! * 256 + bytes[2 * index + 1]!).toString(16).padStart(4, '0'),
  );
  return words.join(separator ? ':' : '');
}

/** A string of the arena; what can't be read prints as the kernel prints it: nothing. */
function textAt({ u8 }: Arena, { low, high }: PrintfArgument, limit: number): string {
  let text = '';
  for (let at = low >>> 0; high === 0 && at >= FIRST_ADDRESS && at < u8.length && text.length < limit && u8[at] !== 0; at++)
    text += String.fromCharCode(u8[at]!);
  return text;
}

function unsigned({ low, high }: PrintfArgument, size: string): bigint {
  const bits = BITS[size]!;
  return BigInt.asUintN(bits, (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0));
}

function signed(argument: PrintfArgument, size: string): bigint {
  return BigInt.asIntN(BITS[size]!, unsigned(argument, 'll'));
}

const BITS: Readonly<Record<string, number>> = { '': 32, l: 64, ll: 64 };

const signOf = (text: string, flags: string): string =>
  text.startsWith('-') ? text : flags.includes('+') ? `+${text}` : flags.includes(' ') ? ` ${text}` : text;

function pad(text: string, flags: string, width: number): string {
  if (text.length >= width) return text;
  if (flags.includes('-')) return text.padEnd(width);
  if (!flags.includes('0')) return text.padStart(width);
  const sign = /^[-+ ]|^0x/i.exec(text)?.[0] ?? '';
  return sign + text.slice(sign.length).padStart(width - sign.length, '0');
}
