/** Contexts as tables: which bytes a program may read and write, and what a read gives. The kernel's is_valid_access, as rows. */

import type { CtxAccess, ProgFacts, RegTypeName } from './ops.ts';
import type { TypeFlag } from './types.ts';

/** What a read of a row gives when that is not a number. */
export interface CtxPointer {
  readonly reg: RegTypeName;
  readonly flags?: readonly TypeFlag[];
  readonly btfStruct?: string;
}

/**
 * One field of a context. `read` and `write` are sums of the access sizes allowed (1, 2, 4, 8; 7 is "narrower too");
 * an access is allowed at every multiple of its size that lies whole inside the field.
 */
export interface CtxField {
  readonly name: string;
  readonly off: number;
  readonly size: number;
  readonly read: number;
  readonly write: number;
  readonly gives?: CtxPointer;
  /** Accesses must begin where the field begins, the narrow ones too. */
  readonly startOnly?: boolean;
}

/** Options of a row. */
export interface CtxFieldOptions {
  readonly gives?: CtxPointer;
  readonly startOnly?: boolean;
}

/** `is_valid_access` of a program type. */
export type CtxAccessRule = (off: number, size: number, write: boolean, prog: ProgFacts) => CtxAccess | undefined;

/** Reads of 1, 2 and 4 bytes. */
export const NARROW = 7;

export const PACKET: CtxPointer = { reg: 'PTR_TO_PACKET' };
export const PACKET_END: CtxPointer = { reg: 'PTR_TO_PACKET_END' };
export const PACKET_META: CtxPointer = { reg: 'PTR_TO_PACKET_META' };
export const SOCKET: CtxPointer = { reg: 'PTR_TO_SOCKET' };
export const SOCKET_OR_NULL: CtxPointer = { reg: 'PTR_TO_SOCKET', flags: ['PTR_MAYBE_NULL'] };
export const SOCK_COMMON_OR_NULL: CtxPointer = { reg: 'PTR_TO_SOCK_COMMON', flags: ['PTR_MAYBE_NULL'] };

/** A row of a context table. */
export function field(
  name: string,
  off: number,
  size: number,
  read: number,
  write = 0,
  options: CtxFieldOptions = {},
): CtxField {
  return { name, off, size, read, write, ...options };
}

/** The rule that a list of rows spells; where rows overlap, any of them may allow the access, the first one types it. */
export function contextRule(fields: readonly CtxField[]): CtxAccessRule {
  return (off, size, write) => {
    for (const row of fields) if (allows(row, off, size, write)) return write ? {} : describe(row);
    return undefined;
  };
}

/** A context that is plain memory of `limit` bytes: any aligned access inside it. */
export function flatRule(from: number, limit: number, writable = false): CtxAccessRule {
  return (off, size, write) => (off >= from && off < limit && off % size === 0 && (!write || writable) ? {} : undefined);
}

function allows(row: CtxField, off: number, size: number, write: boolean): boolean {
  if (((write ? row.write : row.read) & size) === 0) return false;
  if (row.startOnly) return off === row.off && size <= row.size;
  return off >= row.off && off + size <= row.off + row.size && off % size === 0;
}

function describe(row: CtxField): CtxAccess {
  if (row.gives) return row.gives;
  return row.read & (row.read - 1) ? { ctx_field_size: widest(row.read) } : {};
}

function widest(sizes: number): number {
  return sizes & 8 ? 8 : sizes & 4 ? 4 : sizes & 2 ? 2 : 1;
}
