import { expect, test } from 'vitest';
import { HELP, parseArguments, UsageError } from '../src/arguments.ts';

test('without words everything is measured on every engine', () => {
  expect(parseArguments([])).toMatchObject({ help: false, only: undefined, rounds: 9, slice: 12 });
  expect(parseArguments([]).engines).toContain('jit');
});

test('names of programs, parts and engines are taken', () => {
  expect(parseArguments(['--only', 'loop,costs', '--engines', 'jit', '--rounds', '3'])).toMatchObject({
    only: ['loop', 'costs'],
    engines: ['jit'],
    rounds: 3,
  });
  expect(HELP).toContain('parse32');
});

test.each<[words: string[], line: RegExp]>([
  [['--onyl', 'loop'], /--onyl/],
  [['--only', 'lop'], /--only: there is no 'lop': loop, sieve/],
  [['--only', 'verifier,loop'], /by itself/],
  [['--engines', 'jti'], /--engines: there is no 'jti': tiered, jit/],
  [['--rounds', 'x'], /--rounds x is not a number above 0/],
  [['--slice', '0'], /--slice 0/],
])('%j is refused', (words, line) => {
  expect(() => parseArguments(words)).toThrowError(UsageError);
  expect(() => parseArguments(words)).toThrowError(line);
});
