/** The verifier's log as the kernel writes it: text at levels 1 and 2, statistics at 4, cut where the caller's buffer ends. */

export const BPF_LOG_LEVEL1 = 1;
export const BPF_LOG_LEVEL2 = 2;
export const BPF_LOG_STATS = 4;
export const BPF_LOG_LEVEL: number = BPF_LOG_LEVEL1 | BPF_LOG_LEVEL2;
export const BPF_LOG_FIXED = 8;

export class Log {
  readonly level: number;
  /** Text is written at all: level 1 or 2. */
  readonly on: boolean;
  readonly verbose: boolean;
  /** Lines that explain a refusal, kept at every level for the diagnostics. */
  readonly reasons: string[] = [];
  /** The text in pieces: paths that turned out well are cut off again often, and cutting one long string copies it. */
  readonly #pieces: string[] = [];
  #length = 0;
  /** Where the text of the last instruction ends, and how long it was, to put the state behind it. */
  previousEnd = 0;
  previousLength = 0;

  constructor(level: number) {
    this.level = level;
    this.on = (level & BPF_LOG_LEVEL) !== 0;
    this.verbose = (level & BPF_LOG_LEVEL2) !== 0;
  }

  get end(): number {
    return this.#length;
  }

  get text(): string {
    return this.#pieces.join('');
  }

  /** Part of the running trace. */
  write(text: string): void {
    if (this.level !== 0) this.#push(text);
  }

  /** A line that says why: kept whatever the level. */
  reason(line: string, newline = true): void {
    this.reasons.push(line);
    if (this.level !== 0) this.#push(newline ? `${line}\n` : line);
  }

  /** Forgets what was written after `position` (a path that turned out well). */
  reset(position: number): void {
    while (this.#length > position) {
      const piece = this.#pieces.pop()!;
      this.#length -= piece.length;
      if (this.#length < position) this.#push(piece.slice(0, position - this.#length));
    }
  }

  #push(text: string): void {
    this.#pieces.push(text);
    this.#length += text.length;
  }
}

/** The text that fits a buffer of `size` bytes with its closing NUL: its end, as the kernel's rotating log keeps it, or its start. */
export function fitLog(
  text: string,
  size: number | undefined,
  level: number,
): { readonly log: string; readonly truncated: boolean } {
  if (size === undefined || text.length + 1 <= size) return { log: text, truncated: false };
  if (size === 0) return { log: '', truncated: true };
  const kept = level & BPF_LOG_FIXED ? text.slice(0, size - 1) : text.slice(text.length - (size - 1));
  return { log: kept, truncated: true };
}
