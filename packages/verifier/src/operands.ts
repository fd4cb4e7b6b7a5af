/** May this register be read, or written? (`check_reg_arg`) */

import type { Env } from './env.ts';
import { NOT_INIT } from './regtype.ts';

export function checkSrc(env: Env, regno: number): void {
  if (regno > 10) env.refuse('EINVAL', `R${regno} is invalid`);
  env.touch(regno);
  if (env.reg(regno).type === NOT_INIT) env.refuse('EACCES', `R${regno} !read_ok`);
}

export function checkDst(env: Env, regno: number): void {
  if (regno > 10) env.refuse('EINVAL', `R${regno} is invalid`);
  env.touch(regno);
  if (regno === 10) env.refuse('EACCES', 'frame pointer is read only');
}
