/** `npm test`: set-up, every check, every test, and one closing line over all packages. `--long` adds what takes minutes. */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build, install, root } from './setup.mjs';

const long = process.argv.includes('--long');
install();
build();
const check = spawnSync(process.execPath, [join(root, 'tools', 'scripts', 'check.mjs')], { cwd: root, stdio: 'inherit' });
const tests = spawnSync(
  process.execPath,
  [
    join(root, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    '--reporter=./tools/scripts/closing-line.mjs',
    ...(long ? ['--testTimeout=1800000'] : []),
  ],
  { cwd: root, stdio: 'inherit', env: { ...process.env, ...(long ? { LIBBPF_TS_LONG: '1' } : {}) } },
);
if (check.status !== 0) console.error('pnpm check failed: see above');
process.exitCode = check.status || tests.status || 0;
