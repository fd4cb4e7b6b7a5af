/** The writer of random programs: the same seed gives the same program, and each assembles. */

import { expect, test } from 'vitest';
import { assembleProgram } from './support/case.ts';
import { randomProgram } from './support/random-program.ts';
import { limitedProgram, reachingProgram } from './support/random-reach.ts';

test('a seed names a program', () => {
  expect(randomProgram(7)).toEqual(randomProgram(7));
  expect(randomProgram(7).text).not.toBe(randomProgram(8).text);
});

test.each([
  ['random', randomProgram],
  ['reaching', reachingProgram],
  ['limited', limitedProgram],
])('every %s program assembles', (_, make) => {
  for (let seed = 1; seed <= 1000; seed++) expect(assembleProgram(make(seed)).insns.length).toBeGreaterThan(1);
});
