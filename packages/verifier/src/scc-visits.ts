/**
 * Visits of loops. While a loop is explored, a state inside it may be matched by a later one before everything that follows is known;
 * such back edges are kept, and when the loop is left the marks of precision travel along them until nothing changes.
 */

import type { Env } from './env.ts';
import { propagatePrecision } from './precision.ts';
import { CALLBACK_SCC } from './scc.ts';
import type { VerifierState } from './state.ts';

/** One time that a loop was entered. */
export interface SccVisit {
  entry: VerifierState | undefined;
  backedges: VerifierState[];
  /** `(call sites,loop)` for the log; empty where the log does not speak of it. */
  readonly name: string;
}

const MAX_BACKEDGE_ROUNDS = 64;

export class SccTracker {
  readonly #env: Env;
  readonly #visits: Map<string, SccVisit> = new Map();
  readonly #any: boolean;

  constructor(env: Env) {
    this.#env = env;
    this.#any = env.scc.some((scc) => scc !== 0);
  }

  /** Call sites that lead to the outermost loop of a state, and the loop; undefined where it is in none. */
  #key(state: VerifierState): string | undefined {
    if (!this.#any) return undefined;
    let key = '';
    for (let f = 0; f <= state.curframe; f++) {
      const insn = f === state.curframe ? state.insnIdx : state.frames[f + 1]!.callsite;
      const scc = this.#env.scc[insn]!;
      if (scc) return `${key}|${scc}`;
      key += `${insn},`;
    }
    return undefined;
  }

  enter(state: VerifierState): void {
    const key = this.#key(state);
    if (key === undefined) return;
    let visit = this.#visits.get(key);
    if (!visit) {
      visit = {
        entry: undefined,
        backedges: [],
        name: Number(key.slice(key.indexOf('|') + 1)) < CALLBACK_SCC ? `(${key.replace('|', '')})` : '',
      };
      this.#visits.set(key, visit);
    }
    if (!visit.entry) {
      visit.entry = state;
      this.#say('enter', visit);
    }
    state.visit = visit;
  }

  /** Every path from `state` is explored; where it entered a loop, settles the loop's back edges. */
  exit(state: VerifierState): void {
    const { visit } = state;
    if (!visit || visit.entry !== state) return;
    visit.entry = undefined;
    this.#say('exit', visit);
    this.#settle(visit);
  }

  addBackedge(matched: VerifierState, copy: VerifierState): void {
    if (!matched.visit) throw new Error('a loop was closed that was never entered');
    this.#say('backedge', matched.visit);
    matched.visit.backedges.unshift(copy);
  }

  /** Marks of this saved state may still come from back edges. */
  isIncomplete(state: VerifierState): boolean {
    return state.visit !== undefined && state.visit.backedges.length > 0;
  }

  #say(what: string, visit: SccVisit): void {
    if (this.#env.log.verbose && visit.name !== '') this.#env.log.write(`SCC ${what} ${visit.name}\n`);
  }

  #settle(visit: SccVisit): void {
    const { log } = this.#env;
    const { end } = log;
    for (let round = 0; ; round++) {
      let changed = false;
      for (const state of visit.backedges) {
        if (propagatePrecision(this.#env, state.equalState!, state, round >= MAX_BACKEDGE_ROUNDS)) changed = true;
      }
      if (!changed || round > MAX_BACKEDGE_ROUNDS) break;
    }
    // Loops that are a call with a callback are none to the kernel's log.
    if (visit.name === '') log.reset(end);
    visit.backedges = [];
  }
}
