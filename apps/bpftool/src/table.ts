/** Text in columns, for a person. */

/** Rows with their columns padded; columns of numbers are aligned to the right. */
export function table(rows: readonly (readonly (string | number | bigint)[])[], indent = '  '): string {
  if (rows.length === 0) return '';
  const cells = rows.map((row) => row.map(String));
  const columns = Math.max(...cells.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)));
  const numeric = Array.from({ length: columns }, (_, i) => rows.every((row) => typeof row[i] !== 'string'));
  return cells
    .map((row) =>
      `${indent}${row.map((cell, i) => (numeric[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join('  ')}`.trimEnd(),
    )
    .join('\n')
    .concat('\n');
}

/** `1 packet`, `2 packets`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
