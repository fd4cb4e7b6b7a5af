/** The in-process kernel and the running one, side by side. */

import { emptyTrace } from './random-ops.ts';
import { canonical, Replay } from './replay.ts';
import type { Answer, TraceOp } from './trace.ts';
import { simulatedWorld, type World } from './world.ts';

/** How long the running kernel may take to free what nobody holds. */
const PATIENCE_MS = 400;
const PAUSE_MS = 5;

/** An answer with the state that it left. */
export type Outcome = Answer & { readonly state: unknown };

export interface Step {
  /** What the in-process kernel answered. */
  readonly answer: Answer;
  readonly linux: Outcome;
  readonly differs?: { readonly here: Outcome; readonly linux: Outcome };
}

export class Pair {
  readonly #worlds: readonly World[];
  readonly #replays: readonly Replay[];
  readonly #clock: Int32Array = new Int32Array(new SharedArrayBuffer(4));

  constructor(fillers: number, linux: () => World, tc = true) {
    this.#worlds = [simulatedWorld(), linux()];
    this.#replays = this.#worlds.map((world) => new Replay(world, emptyTrace(0, fillers, tc)));
    for (const each of this.#replays) each.prepare();
  }

  /** The state of the running kernel before any operation. */
  state(): unknown {
    return this.#replays[1]!.state();
  }

  /** Executes on both. */
  step(op: TraceOp): Step {
    const [ours, theirs] = this.#replays as [Replay, Replay];
    const answer = ours.execute(op);
    const here = { ...answer, state: ours.state() };
    let said = theirs.execute(op);
    let linux = { ...said, state: theirs.state() };
    const deadline = Date.now() + PATIENCE_MS;
    // What the running kernel frees through RCU and work queues may be seen for a moment longer. What changed nothing may be asked again.
    while (canonical(here) !== canonical(linux) && Date.now() < deadline) {
      Atomics.wait(this.#clock, 0, 0, PAUSE_MS);
      if (said.res !== 'OK' || op.op === 'id_to_fd') said = theirs.execute(op);
      linux = { ...said, state: theirs.state() };
    }
    return canonical(here) === canonical(linux) ? { answer, linux } : { answer, linux, differs: { here, linux } };
  }

  close(): void {
    for (const world of this.#worlds) world.close();
  }
}
