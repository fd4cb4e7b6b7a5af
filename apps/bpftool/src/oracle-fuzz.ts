/**
 * `npm run -s oracle:fuzz -- [--seed N] [--ops N]`: random operations on tcx hooks, on the in-process kernel and on the running one.
 * The first difference is shrunk to a short case and printed. Needs root; everything is done in a network namespace of its own.
 */

import process from 'node:process';

import { inLinuxNamespace } from './oracle/linux-world.ts';
import { emptyTrace, RandomOps } from './oracle/random-ops.ts';
import { canonical, Replay, type Answer } from './oracle/replay.ts';
import type { TraceOp } from './oracle/trace.ts';
import { simulatedWorld, type World } from './oracle/world.ts';

/** Operations before both kernels start anew: a case stays short, and many set-ups are seen. */
const ROUND = 200;
/** How long the running kernel may take to free what nobody holds. */
const PATIENCE_MS = 200;

interface Divergence {
  readonly seed: number;
  readonly fillers: number;
  readonly ops: readonly TraceOp[];
  readonly here: unknown;
  readonly linux: unknown;
}

/** Both kernels, side by side. */
class Pair {
  readonly #worlds: readonly World[];
  readonly #replays: readonly Replay[];

  constructor(fillers: number, linux: () => World) {
    this.#worlds = [simulatedWorld(), linux()];
    this.#replays = this.#worlds.map((world) => new Replay(world, emptyTrace(0, fillers)));
    for (const each of this.#replays) each.prepare();
  }

  /** Executes on both: the in-process kernel's answer, and both sides where they differ. */
  step(op: TraceOp): { readonly answer: Answer; readonly differs?: { readonly here: unknown; readonly linux: unknown } } {
    const [ours, theirs] = this.#replays as [Replay, Replay];
    const answer = ours.execute(op);
    const here = { ...answer, state: ours.state() };
    let linux = { ...theirs.execute(op), state: theirs.state() };
    const deadline = Date.now() + PATIENCE_MS;
    // What the running kernel frees through RCU may be seen for a moment longer.
    while (canonical(here) !== canonical(linux) && op.op === 'id_to_fd' && Date.now() < deadline)
      linux = { ...theirs.execute(op), state: theirs.state() };
    return canonical(here) === canonical(linux) ? { answer } : { answer, differs: { here, linux } };
  }

  close(): void {
    for (const world of this.#worlds) world.close();
  }
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
  const random = new RandomOps(seed, fillers);
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

/** Leaves out operations as long as the kernels still differ. */
function shrink(found: Divergence, linux: () => World): Divergence {
  let best = found;
  for (let size = best.ops.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at + size < best.ops.length;) {
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
        process.stdout.write(`${JSON.stringify(rest, null, 1)}\n${shortest.map((op) => JSON.stringify(op)).join('\n')}\n`);
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
