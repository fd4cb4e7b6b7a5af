/** How the corpus is written: a rule, and programs that keep it or break it for one reason each. */

import type { Program } from '../support/case.ts';

export interface Case extends Program {
  readonly rule: string;
  readonly name: string;
}

export type Row = readonly [name: string, text: string, options?: Partial<Program>];

/** Rows of one rule; sched_cls unless a row says otherwise. Tables may meet in a row: it counts once. */
export function cases(rule: string, rows: readonly Row[], defaults: Partial<Program> = {}): Case[] {
  return [...new Map(rows.map((row) => [row[0], row])).values()].map(([name, text, options]) => ({
    type: 'sched_cls',
    ...defaults,
    ...options,
    rule,
    name,
    text,
  }));
}

export const PASS = 'r0 = 0\nexit';

/** r0 = a value of map `name`, checked for NULL; r6 = the context. */
export function value(name: string, then: string): string {
  return `r6 = r1
    *(u64 *)(r10 -8) = 0
    *(u64 *)(r10 -16) = 0
    r2 = r10
    r2 += -16
    r1 = map[${name}]
    call bpf_map_lookup_elem
    if r0 != 0x0 goto found
    r0 = 0
    exit
    found:
    ${then}
    r0 = 0
    exit`;
}

/** r7 = packet, r8 = its end, r6 = the context, with `bytes` of the packet proven. */
export function packet(bytes: number, then: string): string {
  return `r6 = r1
    r7 = *(u32 *)(r1 +76)
    r8 = *(u32 *)(r1 +80)
    r2 = r7
    r2 += ${bytes}
    if r2 > r8 goto out
    ${then}
    out:
    r0 = 0
    exit`;
}
