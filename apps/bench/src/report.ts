/** The table and the JSON of a bench. */

import { arch, cpus, release } from 'node:os';
import process from 'node:process';

import { benchProgram, EMPTY } from './programs.ts';
import { KERNEL_RECORDED } from './recorded.ts';
import { geomean, median } from './rounds.ts';
import type { Measured } from './rounds.ts';

interface Row {
  readonly program: string;
  readonly callFree: boolean;
  /** Nanoseconds a run, the empty program subtracted. */
  readonly net: Readonly<Record<string, number>>;
  /** `net` to the reference's. */
  readonly ratio: Readonly<Record<string, number>>;
}

/** What was recorded where the kernel can be asked: its nanoseconds to the JIT's, net. */
export interface Report {
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
}

/** `noKernel` says why the kernel is missing; then the last side is compared with recorded figures. */
export function report(measured: readonly Measured[], sides: readonly string[], noKernel: string | undefined): Report {
  const empty = measured.find(({ program }) => program === EMPTY)!;
  const reference = noKernel === undefined ? 'kernel' : undefined;
  const rows = measured.filter(({ program }) => program !== EMPTY).map((entry) => row(entry, empty, sides, reference));
  const means = (filter: (row: Row) => boolean): Record<string, number> =>
    Object.fromEntries(sides.map((side) => [side, geomean(rows.filter(filter).map(({ ratio }) => ratio[side]!))]));
  const all = means(() => true);
  const callFree = means(({ callFree }) => callFree);
  const json = {
    machine: { cpu: cpus()[0]?.model, arch: arch(), kernel: release(), node: process.version },
    reference: reference ?? KERNEL_RECORDED.of,
    note: noKernel,
    empty: empty.ns,
    rows,
    geomean: all,
    geomean_call_free: callFree,
  };
  return { text: table(rows, sides, empty, all, callFree, noKernel), json };
}

/** Net ratio round by round, then the median: what disturbs a round disturbs both. */
function row(entry: Measured, empty: Measured, sides: readonly string[], reference: string | undefined): Row {
  const net = Object.fromEntries(sides.map((side) => [side, entry.ns[side]! - empty.ns[side]!]));
  const base = (round: number): number =>
    reference === undefined
      ? (KERNEL_RECORDED.net[entry.program] ?? Number.NaN)
      : entry.rounds[reference]![round]! - empty.ns[reference]!;
  const ratio = Object.fromEntries(
    sides.map((side) => [side, median(entry.rounds[side]!.map((ns, round) => (ns - empty.ns[side]!) / base(round)))]),
  );
  return { program: entry.program, callFree: benchProgram(entry.program).callFree, net, ratio };
}

function table(
  rows: readonly Row[],
  sides: readonly string[],
  empty: Measured,
  all: Record<string, number>,
  callFree: Record<string, number>,
  noKernel: string | undefined,
): string {
  const others = sides.filter((side) => side !== 'kernel');
  const head = ['program', ...sides.map((side) => `${side} ns`), ...others.map((side) => `${side} / kernel`)];
  const mean = (name: string, values: Record<string, number>): string[] => [
    name,
    ...sides.map(() => ''),
    ...others.map((side) => ratioText(values[side]!)),
  ];
  const lines = [
    head,
    ...rows.map(({ program, net, ratio }) => [
      program,
      ...sides.map((side) => nsText(net[side]!)),
      ...others.map((side) => ratioText(ratio[side]!)),
    ]),
    mean('geomean, all', all),
    mean('geomean, no calls', callFree),
  ];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const text = lines
    .map((line) =>
      line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  '),
    )
    .join('\n');
  const subtracted = sides.map((side) => `${side} ${nsText(empty.ns[side]!)}`).join(', ');
  const note =
    noKernel === undefined
      ? ''
      : `The kernel was not asked (${noKernel}): ratios are to figures recorded on ${KERNEL_RECORDED.of}.\n`;
  return `${text}\n\nNanoseconds a run, medians, the empty program subtracted (${subtracted}).\n${note}`;
}

const nsText = (ns: number): string => (ns < 100 ? ns.toFixed(1) : ns.toFixed(0));
const ratioText = (ratio: number): string => ratio.toFixed(2);
