/** A progress bar on stderr, only for a person and only when the work takes more than a second. */

import type { Io } from './io.ts';

const WIDTH = 30;
const AFTER_MS = 1000;
const EVERY_MS = 100;

export interface Progress {
  update(done: number): void;
  /** Clears the bar. */
  end(): void;
}

export function progress(io: Io, total: number, now: () => number = () => performance.now()): Progress {
  const started = now();
  let next = started + AFTER_MS;
  let shown = false;
  return {
    update(done) {
      if (!io.interactive || now() < next) return;
      next = now() + EVERY_MS;
      shown = true;
      const filled = Math.round((done / total) * WIDTH);
      io.stderr(`\r[${'#'.repeat(filled)}${'.'.repeat(WIDTH - filled)}] ${done}/${total}`);
    },
    end() {
      if (shown) io.stderr(`\r${' '.repeat(WIDTH + 2 * String(total).length + 6)}\r`);
    },
  };
}
