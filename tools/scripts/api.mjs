/** `pnpm api`: renews the API report of every package under `etc/`. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build, install, root } from './setup.mjs';

install();
build();
let failed = 0;
for (const name of readdirSync(join(root, 'packages'))) {
  const folder = join(root, 'packages', name);
  if (!existsSync(join(folder, 'api-extractor.json'))) continue;
  mkdirSync(join(folder, 'etc'), { recursive: true });
  const result = spawnSync(
    process.execPath,
    [join(root, 'node_modules/@microsoft/api-extractor/bin/api-extractor'), 'run', '--local'],
    {
      cwd: folder,
      encoding: 'utf8',
    },
  );
  if (result.status !== 0) console.error(`${name}:\n${result.stdout}${result.stderr}`);
  failed += result.status === 0 ? 0 : 1;
}
process.exitCode = failed === 0 ? 0 : 1;
