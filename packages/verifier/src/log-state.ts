/** Puts what an instruction changed behind it in the log (`print_insn_state`). */

import type { Env } from './env.ts';
import { stateText } from './print-state.ts';

/** States begin at this column, further right in steps where the instruction is long. */
const COLUMN = 40;
const STEP = 8;

export function logState(env: Env): void {
  const { log, cur } = env;
  const touched = env.touchedRegs === -1 ? undefined : { regs: env.touchedRegs, slots: env.touchedSlots };
  const text = stateText(cur, cur.curframe, touched);
  if (log.previousEnd > 0 && log.previousEnd === log.end) {
    log.reset(log.previousEnd - 1);
    const position = log.previousLength;
    const width = Math.ceil(Math.max(position + STEP / 2, COLUMN) / STEP) * STEP - position - 1;
    log.write(`${' '.repeat(Math.max(width, 1))};${text}\n`);
  } else {
    log.write(`${env.insnIdx}:${text}\n`);
  }
  env.clean();
}
