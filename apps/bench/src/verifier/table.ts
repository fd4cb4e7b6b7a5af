/** The verifier's costs as a table. */

import { geomean } from '../rounds.ts';
import type { VerifierCosts, VerifierRow } from './measure.ts';

export function verifierTable({ rows, median, note }: VerifierCosts): string {
  const head = ['largest programs', 'processed', 'to kernel', 'kernel ms', 'warm ms', 'ratio', 'cold ms', 'ratio', 'RSS MiB'];
  const figures = (row: VerifierRow): string[] => [
    row.program,
    String(row.processed),
    (row.processed / row.kernel_processed).toFixed(2),
    ms(row.kernel_ms),
    ms(row.warm_ms),
    row.warm_ratio.toFixed(2),
    ...(row.cold_ms === undefined ? ['', '', ''] : [ms(row.cold_ms), row.cold_ratio!.toFixed(2), row.cold_rss_mib!.toFixed(0)]),
  ];
  const mean = geomean(rows.map(({ warm_ratio }) => warm_ratio)).toFixed(2);
  const of = `median of ${median.count}`;
  const lines = [
    head,
    ...rows.map(figures),
    ['geometric mean', '', '', '', '', mean, '', '', ''],
    [
      of,
      '',
      '',
      ms(median.kernel_ms),
      ms(median.warm_ms),
      median.warm_ratio.toFixed(2),
      ms(median.cold_ms),
      median.cold_ratio.toFixed(2),
      '',
    ],
  ];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const text = lines
    .map((line) =>
      line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  '),
    )
    .join('\n');
  return `${text}\n\nMilliseconds of verification, medians; warm: in a process that has verified before; cold: a process's first.\n${note ? `${note}\n` : ''}`;
}

const ms = (value: number): string => (value < 10 ? value.toFixed(3) : value.toFixed(0));
