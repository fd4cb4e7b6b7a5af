/** Our verdict on a test program, in the form of a recorded one. */

import { Verifier } from '@libbpf-ts/verifier';
import type { VerifierBtf } from '@libbpf-ts/verifier';
import { verifierRequest } from './case.ts';
import type { Assembled } from './case.ts';

export interface Verdict {
  /** Empty where accepted; CRASH where the verifier itself failed, TIMEOUT where it took more than `milliseconds`. */
  readonly errno: string;
  /** The last line of the log that is no statistics, where refused. */
  readonly last: string;
  readonly processed: number;
}

export interface JudgeOptions {
  readonly kernelBtf?: VerifierBtf;
  /** 20,000 where omitted. */
  readonly milliseconds?: number;
  readonly log_level?: number;
}

const STEP = 2000;

export function judge(assembled: Assembled, { kernelBtf, milliseconds = 20_000, log_level = 1 }: JudgeOptions = {}): Verdict {
  try {
    const verifier = new Verifier({ ...verifierRequest(assembled, kernelBtf), log_level });
    const end = performance.now() + milliseconds;
    let result = verifier.step(STEP);
    while (!result) {
      if (performance.now() > end) return { errno: 'TIMEOUT', last: '', processed: verifier.progress.processed };
      result = verifier.step(STEP);
    }
    const lines = result.log
      .split('\n')
      .filter((line) => line !== '' && !/^(processed |verification time|stack depth)/.test(line));
    const last = result.ok ? '' : (lines.at(-1) ?? '');
    return { errno: result.ok ? '' : result.errno, last, processed: result.stats.processed };
  } catch (problem) {
    return { errno: 'CRASH', last: String(problem instanceof Error ? problem.stack : problem), processed: 0 };
  }
}
