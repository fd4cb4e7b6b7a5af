/** What tests share: where optional data lies, what this machine allows, and why a test is skipped. */

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

/** A place inside the optional shared data (fixtures, recorded oracles), or the reason why there is none. */
export function shared(...path: string[]): { readonly path: string } | { readonly reason: string } {
  const root = process.env['LIBBPF_TS_SHARED'];
  if (!root) return { reason: 'LIBBPF_TS_SHARED is not set: no shared fixtures' };
  const full = join(root, ...path);
  return existsSync(full) ? { path: full } : { reason: `shared data lacks ${path.join('/')}` };
}

/** Why this machine cannot run a command, or `undefined` where it can. */
export function missingTool(name: string): string | undefined {
  try {
    execFileSync('sh', ['-c', `command -v ${name}`], { stdio: 'ignore' });
    return undefined;
  } catch {
    return `${name} is not installed`;
  }
}

/** Why tests on the live Linux kernel cannot run here, or `undefined` where they can. */
export function noLiveKernel(): string | undefined {
  if (process.platform !== 'linux') return `the live kernel tests need Linux, this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'the live kernel tests need root';
  return existsSync('/sys/kernel/btf/vmlinux') ? undefined : 'the running kernel has no BTF';
}
