import { expect, test } from 'vitest';

import { classicStory, linkStory } from '../src/story.ts';

test('classic tc: one application wipes the other', () => {
  expect(classicStory().map(({ hook, packet }) => [hook, packet])).toEqual([
    ['pref 1 handle 0x1 pod_policy', 'pod_policy -> TCX_NEXT'],
    ['pref 1 handle 0x1 sampler', 'sampler -> TCX_NEXT'],
    ['pref 1 handle 0x1 sampler', 'sampler -> TCX_NEXT'],
    ['empty', 'no program -> TCX_NEXT'],
  ]);
});

test('tcx links: both stay, and each goes only with its owner', () => {
  expect(linkStory().map(({ hook, packet }) => [hook.replaceAll(/ \(link \d+\)/g, '*'), packet])).toEqual([
    ['pod_policy*', 'pod_policy -> TCX_NEXT'],
    ['pod_policy*; sampler*', 'pod_policy, sampler -> TCX_NEXT'],
    ['pod_policy*; sampler*', 'pod_policy, sampler -> TCX_NEXT'],
    ['pod_policy*', 'pod_policy -> TCX_NEXT'],
    ['empty', 'no program -> TCX_NEXT'],
  ]);
});
