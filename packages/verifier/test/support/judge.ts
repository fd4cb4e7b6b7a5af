/** Our verdict on a test program, in the form of a recorded one. */

import { verify } from '@libbpf-ts/verifier';
import { verifierRequest } from './case.ts';
import type { Assembled } from './case.ts';

export interface Verdict {
  /** Empty where accepted. */
  readonly errno: string;
  /** The last line of the log that is no statistics, where refused. */
  readonly last: string;
  readonly processed: number;
  /** The verifier itself failed: a bug. */
  readonly crashed?: boolean;
}

export function judge(assembled: Assembled): Verdict {
  try {
    const result = verify(verifierRequest(assembled));
    const lines = result.log.split('\n').filter((line) => line !== '' && !/^(processed |verification time|stack depth)/.test(line));
    return {
      errno: result.ok ? '' : result.errno,
      last: result.ok ? '' : lines.at(-1) ?? '',
      processed: result.stats.processed,
    };
  } catch (problem) {
    return { errno: 'CRASH', last: String(problem), processed: 0, crashed: true };
  }
}
