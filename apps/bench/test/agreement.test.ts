import { defaultEngines } from '@libbpf-ts/vm';
import { expect, test } from 'vitest';

import { compareEngines } from '../src/agreement.ts';
import { randomProgram } from '../src/random-program.ts';

test('a seed is a program', () => {
  expect(randomProgram(7)).toEqual(randomProgram(7));
  expect(randomProgram(7).insns).not.toEqual(randomProgram(8).insns);
});

test('the engines agree on random programs', () => {
  const engines = defaultEngines.map(({ name }) => name);
  expect(compareEngines(engines, 1, 200, { helpers: true })).toEqual([]);
});
