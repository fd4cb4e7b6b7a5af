/** Starts a built program of the workspace: `run.mjs apps/X/dist/Y.js ARGS…`. Sets up and builds first; paths are the caller's. */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build, install, root } from './setup.mjs';

const [script, ...args] = process.argv.slice(2);
install();
build();
const result = spawnSync(process.execPath, [join(root, script), ...args], {
  cwd: process.env.INIT_CWD ?? process.cwd(),
  stdio: 'inherit',
});
process.exitCode = result.status ?? 1;
