/**
 * `npm run -s oracle:fuzz -- [--seed N] [--ops N]`: random operations of several processes on tcx hooks, classic tc, links, pins and
 * devices, on the in-process kernel and on the running one.
 * The first difference is shrunk to a short case and printed. Needs root; everything is done in a network namespace of its own.
 */

import process from 'node:process';

import { inLinuxNamespace } from './oracle/linux-world.ts';
import { Pair } from './oracle/pair.ts';
import { RandomOps } from './oracle/random-ops.ts';
import type { TraceOp } from './oracle/trace.ts';
import type { World } from './oracle/world.ts';

/** Operations before both kernels start anew: a case stays short, and many set-ups are seen. */
const ROUND = 200;
interface Divergence {
  readonly seed: number;
  readonly fillers: number;
  readonly ops: readonly TraceOp[];
  readonly here: unknown;
  readonly linux: unknown;
}

function runOps(
  ops: readonly TraceOp[],
  fillers: number,
  linux: () => World,
): Pick<Divergence, 'ops' | 'here' | 'linux'> | undefined {
  const pair = new Pair(fillers, linux);
  try {
    for (const [at, op] of ops.entries()) {
      const { differs } = pair.step(op);
      if (differs) return { ops: ops.slice(0, at + 1), ...differs };
    }
    return undefined;
  } finally {
    pair.close();
  }
}

function fuzzRound(seed: number, length: number, linux: () => World): Divergence | undefined {
  const fillers = seed % 8 === 7 ? 68 : 0;
  const random = new RandomOps(seed, fillers, true);
  const pair = new Pair(fillers, linux);
  const ops: TraceOp[] = [];
  try {
    for (let i = 0; i < length; i++) {
      const op = random.next();
      ops.push(op);
      const { answer, differs } = pair.step(op);
      if (differs) return { seed, fillers, ops, ...differs };
      random.note(op, answer.res);
    }
    return undefined;
  } finally {
    pair.close();
  }
}

/** How long a case is made shorter: one that depends on the moment would be tried for ever. */
const SHRINK_MS = 60_000;

/** Leaves out operations as long as the kernels still differ. */
function shrink(found: Divergence, linux: () => World): Divergence {
  let best = found;
  const deadline = Date.now() + SHRINK_MS;
  for (let size = best.ops.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at + size < best.ops.length && Date.now() < deadline;) {
      const fewer = [...best.ops.slice(0, at), ...best.ops.slice(at + size)];
      const still = runOps(fewer, best.fillers, linux);
      if (still) best = { ...best, ...still };
      else at += size;
    }
  }
  return best;
}

function numberOption(name: string, otherwise: number): number {
  const at = process.argv.indexOf(name);
  const value = at < 0 ? otherwise : Number(process.argv[at + 1]);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${name} needs a number of at least 1`);
  return value;
}

function main(): number {
  const ops = numberOption('--ops', 100_000);
  const first = numberOption('--seed', 1);
  return inLinuxNamespace((linux) => {
    let done = 0;
    for (let seed = first; done < ops; seed++) {
      const length = Math.min(ROUND, ops - done);
      const found = fuzzRound(seed, length, linux);
      if (found) {
        const { ops: shortest, ...rest } = shrink(found, linux);
        const { here, linux: there, ...which } = rest;
        const lines = [which, ...shortest, { here }, { linux: there }].map((row) => JSON.stringify(row));
        process.stdout.write(`${lines.join('\n')}\n`);
        process.stdout.write(`${done + found.ops.length} ops, 1 difference, seed ${seed}\n`);
        return 1;
      }
      done += length;
    }
    process.stdout.write(`${done} ops, 0 differences, seeds from ${first}\n`);
    return 0;
  });
}

try {
  process.exitCode = main();
} catch (error) {
  process.stderr.write(`oracle:fuzz: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
