/** `pnpm check`: all that can be said without running a test. Each step prints its name; all run, the first failure decides the exit code. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, install, root } from './setup.mjs';

const bin = (name, script) => join(root, 'node_modules', name, script);
const node = process.execPath;

const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const tasks = ['check:api', 'check:package', '--output-logs=errors-only', '--ui=stream', '--concurrency=2'];
const turbo = [node, bin('turbo', 'bin/turbo'), 'run', ...tasks];

const steps = [
  ['layers', node, [join(root, 'tools/check/layers.mjs')]],
  ['documents', node, [join(root, 'tools/check/documents.mjs')]],
  ['types of tests', node, [bin('typescript-7', 'bin/tsc'), '--noEmit', '-p', 'tsconfig.test.json']],
  ['lint', node, [bin('oxlint', 'bin/oxlint'), '--quiet']],
  ['format', node, [bin('oxfmt', 'bin/oxfmt'), '--check']],
  // turbo starts scripts through pnpm, which it looks for on the path: npx puts the pinned one there.
  ['package api and contents', 'npx', ['--yes', '-p', packageManager, '--', ...turbo]],
];

install();
build();
let failed = 0;
for (const [name, command, args] of steps) {
  const started = Date.now();
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1', NO_UPDATE_NOTIFIER: '1' },
    maxBuffer: 1 << 28,
  });
  const ok = result.status === 0;
  console.log(`${ok ? 'ok    ' : 'FAILED'} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  if (ok) continue;
  failed += 1;
  console.log(`${result.stdout ?? ''}${result.stderr ?? ''}${result.error ? result.error.message : ''}`.trim());
}
process.exitCode = failed === 0 ? 0 : 1;
