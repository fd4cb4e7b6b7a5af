import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const examples = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!);

test('the quick start has at most 20 lines', () => {
  expect(examples).toHaveLength(1);
  expect(
    examples[0]!
      .trimEnd()
      .split('\n')
      .filter((line) => line.trim() !== '').length,
  ).toBeLessThanOrEqual(20);
});

test('the quick start runs as it stands and says what it should', () => {
  // Compiled by the workspace's own compiler, which checks its types, and run as a program of its own.
  const folder = mkdtempSync(join(root, 'test', 'readme-'));
  try {
    writeFileSync(join(folder, 'start.ts'), examples[0]!);
    const compiler = join(root, 'node_modules/typescript-7/bin/tsc');
    const options = [
      '--ignoreConfig',
      '--module',
      'nodenext',
      '--target',
      'es2022',
      '--lib',
      'es2023,esnext.disposable,dom',
      '--strict',
      '--types',
      'node',
      '--skipLibCheck',
    ];
    execFileSync(process.execPath, [compiler, ...options, join(folder, 'start.ts')], { cwd: root, encoding: 'utf8' });
    const out = execFileSync(process.execPath, [join(folder, 'start.js')], { cwd: root, encoding: 'utf8' });
    expect(out).toBe('TCX_DROP { hits: 1n, note: 7, pad: 0 }\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
