/** Timers in map values (`process_timer_func`). */

import type { Env } from './env.ts';
import type { CallMeta } from './helper-args.ts';
import { isConstOffset } from './stack.ts';

export function processTimer(env: Env, regno: number, meta: CallMeta): void {
  const reg = env.reg(regno);
  const map = reg.map!;
  if (!isConstOffset(reg)) {
    env.refuse('EINVAL', `R${regno} doesn't have constant offset. bpf_timer has to be at the constant offset`);
  }
  if (!map.btf) env.refuse('EINVAL', `map '${map.name}' has to have BTF in order to use bpf_timer`);
  const field = map.record?.find((row) => row.type === 'BPF_TIMER');
  if (!field) return env.refuse('EINVAL', `map '${map.name}' has no valid bpf_timer`);
  if (field.offset !== reg.vl + reg.off) {
    env.refuse('EINVAL', `off ${reg.vl + reg.off} doesn't point to 'struct bpf_timer' that is at ${field.offset}`);
  }
  meta.map = map;
  meta.mapUid = reg.mapUid;
}
