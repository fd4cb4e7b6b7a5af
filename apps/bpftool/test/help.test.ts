import { expect, test } from 'vitest';
import { runCli } from './memory-io.ts';

test.each<[words: string[], shown: RegExp, hidden: RegExp]>([
  [['help'], /prog load OBJ[^]*gen skeleton/, /no command/],
  [['--help'], /prog load OBJ[^]*gen skeleton/, /no command/],
  [['help', 'prog'], /prog load OBJ[^]*prog run OBJ/, /gen skeleton|--hook HOOK/],
  [['prog', 'load', '--help'], /prog load OBJ/, /gen skeleton/],
  [['run', '-h'], /run OBJ[^]*--hook HOOK[^]*ENGINE {2}tiered/, /gen skeleton/],
  [['--version'], /^bpftool-ts \d+\.\d+\.\d+\n$/, /usage/],
])('%j', (words, shown, hidden) => {
  const { code, out, err } = runCli(words);
  expect(out).toMatch(shown);
  expect(out).not.toMatch(hidden);
  expect({ code, err }).toEqual({ code: 0, err: '' });
});

test('help on a command that is not there names the nearest', () => {
  const { code, err } = runCli(['help', 'prg']);
  expect(err).toMatch(/no command 'prg', did you mean prog\?/);
  expect(code).toBe(2);
});

test('with --json, what failed is an object on stdout too', () => {
  const { code, out, err } = runCli(['prog', 'load', 'nowhere.o', '--json']);
  expect(JSON.parse(out)).toEqual({ error: 'nowhere.o: cannot read: there is no such file' });
  expect(err).toContain('nowhere.o: cannot read');
  expect(code).toBe(1);
});
