/** What verification costs here and in the kernel, program by program, in turns. */

import { execFileSync } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { verify } from '@libbpf-ts/verifier';

import { median } from '../rounds.ts';
import { withLive } from './live.ts';
import type { LiveTime } from './live.ts';
import { acceptedRows, fixtures, readObject, withRequest } from './subjects.ts';
import type { Row } from './subjects.ts';

export interface VerifierRow {
  readonly object: string;
  readonly program: string;
  readonly processed: number;
  readonly kernel_processed: number;
  readonly kernel_ms: number;
  /** Once V8 has compiled what it will. */
  readonly warm_ms: number;
  readonly warm_ratio: number;
  /** The first verification of a process, where it was asked for. */
  readonly cold_ms?: number;
  readonly cold_ratio?: number;
  /** Peak memory of that process. */
  readonly cold_rss_mib?: number;
}

export interface VerifierCosts {
  readonly rows: readonly VerifierRow[];
  /** Programs that are not among the largest: medians of all, and of those that a process of their own verified. */
  readonly median: {
    readonly count: number;
    readonly kernel_ms: number;
    readonly warm_ms: number;
    readonly warm_ratio: number;
    readonly cold_ms: number;
    readonly cold_ratio: number;
  };
  readonly note?: string;
}

export interface VerifierOptions {
  readonly rounds: number;
  /** How many of the largest are shown one by one. */
  readonly largest: number;
  /** Of the others every so manieth is measured. */
  readonly step: number;
  /** How many around the median run in a process of their own. */
  readonly sample: number;
  /** Processes for each program that is measured cold. */
  readonly processes: number;
}

/** undefined where there are no fixtures; the message says why. */
export function measureVerifier(options: VerifierOptions): VerifierCosts | { readonly reason: string } {
  const place = fixtures();
  if ('reason' in place) return place;
  const everyRow = acceptedRows(place.folder);
  const all = everyRow.filter((_, index) => index < options.largest || index % options.step === 0);
  const reason = noLive(place.folder, all.at(-1)!);
  const middle = all.length >> 1;
  const half = options.sample >> 1;
  const isCold = (_: Row, index: number): boolean =>
    index < 3 || (index >= middle - half && index < middle - half + options.sample);
  const rows: VerifierRow[] = [];
  // Small programs first: warm, they are judged before the large ones grow the heap.
  for (const [index, row] of [...all.entries()].reverse())
    rows.unshift(measureRow(place.folder, row, options, isCold(row, index), reason === undefined));
  const cold = rows.filter(({ cold_ms }, index) => cold_ms !== undefined && index >= 3);
  return {
    rows: rows.slice(0, options.largest),
    median: {
      count: rows.length,
      kernel_ms: median(rows.map(({ kernel_ms }) => kernel_ms)),
      warm_ms: median(rows.map(({ warm_ms }) => warm_ms)),
      warm_ratio: median(rows.map(({ warm_ratio }) => warm_ratio)),
      cold_ms: median(cold.map(({ cold_ms }) => cold_ms!)),
      cold_ratio: median(cold.map(({ cold_ratio }) => cold_ratio!)),
    },
    ...(reason === undefined ? {} : { note: `The kernel was not asked (${reason}): its figures are recorded ones.` }),
  };
}

function noLive(folder: string, row: Row): string | undefined {
  try {
    withLive(readObject(folder, row.object), row, (again) => again());
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function measureRow(folder: string, row: Row, options: VerifierOptions, cold: boolean, live: boolean): VerifierRow {
  const spec = readObject(folder, row.object);
  const coldRuns = cold ? Array.from({ length: options.processes }, () => coldRun(row)) : [];
  return withRequest(spec, row, ({ request }) => {
    const inTurns = (again: () => LiveTime): VerifierRow => {
      let processed = 0;
      const ours = (): number => {
        const start = performance.now();
        const result = verify(request);
        const ms = performance.now() - start;
        processed = result.stats.processed;
        return ms;
      };
      const end = performance.now() + 60;
      for (let count = 0; count < 2 || (performance.now() < end && count < 300); count++) ours();
      const samples = Array.from({ length: options.rounds }, () => ({ kernel: again(), warm: ours() }));
      const kernel_ms = median(samples.map(({ kernel }) => kernel.ms));
      const figures = {
        object: row.object,
        program: row.program,
        processed,
        kernel_processed: samples[0]!.kernel.processed,
        kernel_ms,
        warm_ms: median(samples.map(({ warm }) => warm)),
        warm_ratio: median(samples.map(({ kernel, warm }) => warm / kernel.ms)),
      };
      if (coldRuns.length === 0) return figures;
      const cold_ms = median(coldRuns.map(({ first }) => first));
      const cold_rss_mib = median(coldRuns.map(({ rss_mib }) => rss_mib));
      return { ...figures, cold_ms, cold_ratio: cold_ms / kernel_ms, cold_rss_mib };
    };
    return live ? withLive(spec, row, inTurns) : inTurns(() => ({ ms: row.verify_ms, processed: row.processed }));
  });
}

function coldRun({ object, section, program }: Row): { first: number; load: number; rss_mib: number } {
  const script = fileURLToPath(new URL('cold.js', import.meta.url));
  return JSON.parse(execFileSync(process.execPath, [script, object, section, program], { encoding: 'utf8' })) as {
    first: number;
    load: number;
    rss_mib: number;
  };
}
