/** Recorded traces of operations on a hook: JSON lines, a header and one line an operation, with names instead of fds and ids. */

export interface TraceHeader {
  readonly v: number;
  readonly kind: 'header';
  readonly seed?: number;
  readonly kernel: string;
  /** `tc`: qdiscs and filters are part of the state. */
  readonly preamble: { readonly pool: readonly string[]; readonly fillers: number; readonly tc?: boolean };
  readonly state: unknown;
}

/** One operation with what the recorded kernel answered: `res`, `out` where there was one, and the state afterwards. */
export interface TraceOp {
  readonly i: number;
  readonly op: string;
  readonly res: string;
  readonly out?: unknown;
  readonly state: unknown;
  readonly [field: string]: unknown;
}

/** What a kernel answers to one operation. */
export interface Answer {
  readonly res: string;
  readonly out?: unknown;
}

export interface Trace {
  readonly header: TraceHeader;
  readonly ops: readonly TraceOp[];
}

/** A trace that cannot be read: says where. */
export class TraceError extends Error {
  override readonly name = 'TraceError';
  readonly code = 'TRACE_ERROR';
}

/** Reads a trace. Throws TraceError. */
export function parseTrace(text: string): Trace {
  const rows = text
    .split('\n')
    .map((line, at) => ({ line, at }))
    .filter(({ line }) => line.trim() !== '');
  const values = rows.map(({ line, at }) => {
    try {
      // A revision may need all 64 bits, more than a JSON number keeps here: such a one becomes text.
      return JSON.parse(line.replace(/"rev":(\d{16,})/g, '"rev":"$1"')) as Record<string, unknown>;
    } catch {
      throw new TraceError(`line ${at + 1} is not JSON`);
    }
  });
  const [header, ...ops] = values;
  if (header?.['kind'] !== 'header') throw new TraceError('line 1 is not a header of a trace');
  if (header['v'] !== 1) throw new TraceError(`version ${String(header['v'])} of the format is not known, only 1`);
  ops.forEach((op, at) => {
    if (typeof op['op'] !== 'string' || typeof op['res'] !== 'string')
      throw new TraceError(`line ${at + 2} is not an operation`);
  });
  return { header: header as unknown as TraceHeader, ops: ops as unknown as TraceOp[] };
}
