import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const read = (path: string): string => readFileSync(join(import.meta.dirname, '..', path), 'utf8');

test('every code of the verifier has its row in the page, and no row is without a code', () => {
  const table = /const RULES[\s\S]*?\n\];/.exec(read('packages/verifier/src/diagnose.ts'))![0];
  const codes = new Set([...table.matchAll(/\/[a-z]*,\s*'([a-z-]+)',/g)].map(([, code]) => code!));
  const rows = new Set([...read('docs/verifier-diagnostics.md').matchAll(/^\| `([a-z-]+)`/gm)].map(([, code]) => code!));
  expect(codes.size).toBeGreaterThan(15);
  expect([...rows].sort()).toEqual([...codes, 'refused'].sort());
});
