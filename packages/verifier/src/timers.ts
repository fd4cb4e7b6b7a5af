/** Timers in map values (`process_timer_func`). */

import type { Env } from './env.ts';
import type { CallMeta } from './helper-args.ts';
import { checkMapField } from './managed.ts';

export function processTimer(env: Env, regno: number, meta: CallMeta): void {
  meta.map = checkMapField(env, regno, 'BPF_TIMER');
  meta.mapUid = env.reg(regno).mapUid;
}
