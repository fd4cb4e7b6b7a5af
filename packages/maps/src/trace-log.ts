/** What programs print: the trace pipe of one kernel. */

import { stateKey, type Kernel, type StateKey } from '@libbpf-ts/kernel';

interface TraceLog {
  readonly lines: string[];
  readonly listeners: Set<(line: string) => void>;
}

const logKey: StateKey<TraceLog> = stateKey<TraceLog>('maps.trace');
/** Older lines are dropped. */
const MOST_LINES = 10_000;

function logOf(kernel: Kernel): TraceLog {
  return kernel.state(logKey, {
    create: () => ({ lines: [], listeners: new Set() }),
    clone: ({ lines }) => ({ lines: [...lines], listeners: new Set() }),
  });
}

export function trace(kernel: Kernel, line: string): void {
  const log = logOf(kernel);
  if (log.lines.length === MOST_LINES) log.lines.shift();
  log.lines.push(line);
  for (const listener of log.listeners) listener(line);
}

/** Takes out all that bpf_trace_printk wrote since the last call: texts as the programs made them, without task and time. */
export function readTrace(kernel: Kernel): string[] {
  return logOf(kernel).lines.splice(0);
}

/** Calls `listener` for every text that is written from now on. Returns the way to stop that. */
export function onTrace(kernel: Kernel, listener: (line: string) => void): () => void {
  const { listeners } = logOf(kernel);
  listeners.add(listener);
  return () => void listeners.delete(listener);
}
