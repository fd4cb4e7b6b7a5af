/** Brings a fresh clone to life: the pinned pnpm through npx, the frozen lockfile, the build. All of its output goes to stderr. */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Runs a command at the root; its standard output goes to stderr unless told otherwise. Returns the exit code. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], ...options });
  if (result.error) {
    console.error(`${command}: ${result.error.message}`);
    return 1;
  }
  return result.status ?? 1;
}

/** Runs a step of the set-up and ends the process where it fails. */
function must(what, command, args) {
  if (run(command, args) === 0) return;
  console.error(`set-up failed: ${what} (${command} ${args.join(' ')})`);
  process.exit(1);
}

function pnpmArguments() {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return ['--yes', packageManager, 'install', '--frozen-lockfile', '--prefer-offline'];
}

/** Installs what the lockfile names, once for each lockfile. */
export function install() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'pnpm-lock.yaml')))
    .digest('hex');
  const mark = join(root, 'node_modules', '.libbpf-ts-installed');
  if (existsSync(mark) && readFileSync(mark, 'utf8') === lock) return;
  must('install dependencies', 'npx', pnpmArguments());
  mkdirSync(dirname(mark), { recursive: true });
  writeFileSync(mark, lock);
}

/** Builds every package; tsc -b does only what changed. */
export function build() {
  must('build', process.execPath, [join(root, 'node_modules', 'typescript-7', 'bin', 'tsc'), '-b']);
}
