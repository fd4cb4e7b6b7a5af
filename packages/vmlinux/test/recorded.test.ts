import { readFileSync } from 'node:fs';

import { progTypeOf, type Kernel } from '@libbpf-ts/kernel';
import { createKernel } from '@libbpf-ts/vmlinux';
import { describe, expect, test } from 'vitest';

import { Replay, type RecordedCase, type Step } from './support/recorded.ts';

const lives = JSON.parse(readFileSync(new URL('oracle/objects.json', import.meta.url), 'utf8')) as {
  kernel: string;
  cases: RecordedCase[];
};
const recorded = JSON.parse(readFileSync(new URL('oracle/bpf.json', import.meta.url), 'utf8')) as {
  kernel: string;
  cases: RecordedCase[];
};

/** Where the attach type stands in the attr of the commands that have one. */
const ATTACH_TYPE_AT: Readonly<Record<number, number>> = { 8: 8, 9: 8, 16: 4, 28: 8 };

/** Hooks that Linux has and this kernel does not (yet): it says EINVAL where Linux goes on to look at the target. */
function needsMissingHook(kernel: Kernel, { cmd, attr }: Step): boolean {
  const at = ATTACH_TYPE_AT[cmd ?? -1];
  if (at === undefined) return false;
  const given = attr!.find(([offset]) => offset === at)?.[2] ?? 0;
  const attachType = typeof given === 'number' ? given : 0;
  return !kernel.attachTypes.has(attachType) && (progTypeOf(attachType) !== undefined || attachType === 41);
}

/** Every step that was answered otherwise, in words. */
function differences(kernel: Kernel, steps: readonly Step[]): string[] {
  kernel.files.mountBpffs('/tmp/oracle-bpffs');
  const replay = new Replay(kernel.task('recorder'));
  return steps.flatMap((step, index) => {
    const difference = replay.run(step);
    const skip = difference === undefined || needsMissingHook(kernel, step);
    return skip ? [] : [`step ${index} ${JSON.stringify({ ...step, outs: undefined })}: ${difference}`];
  });
}

describe(`as Linux ${recorded.kernel} answered`, () => {
  test.each(recorded.cases.map((one) => [one.name, one] as const))('%s', (_, { steps }) => {
    expect(differences(createKernel(), steps)).toEqual([]);
  });
});

describe(`objects live and die as on Linux ${lives.kernel}`, () => {
  test.each(lives.cases.map((one) => [one.name, one] as const))('%s', (_, { steps }) => {
    const kernel = createKernel();
    expect(differences(kernel, steps)).toEqual([]);
    expect(kernel.leaks()).toEqual([]);
  });
});
