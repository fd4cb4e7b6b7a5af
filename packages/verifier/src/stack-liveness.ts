/**
 * Which stack slots may still be read (`kernel/bpf/liveness.c`). Reads and certain writes are recorded per call chain and
 * instruction while paths are explored; data flow backwards over the chain's function then says what is alive where. Slots that
 * are dead in a finished state are cleared, so that more states match it.
 */

import { postorder, successors } from './cfg.ts';
import type { Env } from './env.ts';
import type { VerifierState } from './state.ts';
import { isTailCall } from './subprograms.ts';

/** Masks of one frame, a pair of words an instruction of the function. */
class FrameMasks {
  readonly read: Int32Array;
  readonly written: Int32Array;
  readonly writtenLater: Int32Array;
  readonly live: Int32Array;
  constructor(count: number) {
    this.read = new Int32Array(count * 2);
    this.written = new Int32Array(count * 2);
    this.writtenLater = new Int32Array(count * 2);
    this.live = new Int32Array(count * 2);
  }
}

/** One function as reached through one chain of calls. */
class Instance {
  readonly start: number;
  readonly depth: number;
  readonly parent: Instance | undefined;
  readonly callsite: number;
  readonly children: Map<number, Instance> = new Map();
  readonly frames: (FrameMasks | undefined)[] = [];
  /** Writes of an instruction were recorded before. */
  readonly visited: Uint8Array;
  updated = false;
  dropped = false;
  constructor(start: number, size: number, depth: number, parent: Instance | undefined, callsite: number) {
    this.start = start;
    this.depth = depth;
    this.parent = parent;
    this.callsite = callsite;
    this.visited = new Uint8Array(size);
  }
}

const MAX_FRAMES = 9;

/** Slots 0 to 31 and 32 to 63. */
type Mask = readonly [low: number, high: number];

function slotsText(mask: Mask): string {
  const slots: string[] = [];
  for (let spi = 0; spi < 64; spi++) if (mask[spi >> 5]! & (1 << (spi & 31))) slots.push(`-${(spi + 1) * 8}`);
  return slots.join(',');
}

/** `(5,9)`: call sites from the outermost function on, then where the innermost begins. */
function chainText(instance: Instance): string {
  const chain: number[] = [instance.start];
  for (let at: Instance | undefined = instance; at?.parent; at = at.parent) chain.unshift(at.callsite);
  return `(${chain.join(',')})`;
}

export class Liveness {
  readonly #env: Env;
  readonly #roots: Map<number, Instance> = new Map();
  readonly #orders: Map<number, number[]> = new Map();
  #current: Instance | undefined = undefined;
  #committing: Instance | undefined = undefined;
  #insn = 0;
  #wrote = false;
  readonly #writes = new Int32Array(MAX_FRAMES * 2);

  constructor(env: Env) {
    this.#env = env;
  }

  /** The chain of calls changed: call, return, or another path. */
  forgetChain(): void {
    this.#current = undefined;
    this.#committing = undefined;
  }

  #instanceOf(state: VerifierState, depth: number): Instance {
    let instance: Instance = this.#rootOf(state.frames[0]!.subprogno);
    for (let f = 1; f <= depth; f++) {
      const frame = state.frames[f]!;
      const key = frame.callsite * 1024 + frame.subprogno;
      let child: Instance | undefined = instance.children.get(key);
      if (!child) {
        child = this.#make(frame.subprogno, f, instance, frame.callsite);
        instance.children.set(key, child);
      }
      instance = child;
    }
    return instance;
  }

  #rootOf(subprogno: number): Instance {
    let root = this.#roots.get(subprogno);
    if (!root) {
      root = this.#make(subprogno, 0, undefined, -1);
      this.#roots.set(subprogno, root);
    }
    return root;
  }

  #make(subprogno: number, depth: number, parent: Instance | undefined, callsite: number): Instance {
    const { start, end } = this.#env.subprogs[subprogno]!;
    return new Instance(start, end - start, depth, parent, callsite);
  }

  #here(): Instance {
    const { cur } = this.#env;
    this.#current ??= this.#instanceOf(cur, cur.curframe);
    return this.#current;
  }

  #masks(instance: Instance, frameno: number): FrameMasks {
    return (instance.frames[frameno] ??= new FrameMasks(instance.visited.length));
  }

  /** Before an instruction: nothing written yet. */
  beginInsn(insn: number): void {
    this.#committing = this.#here();
    this.#insn = insn;
    if (!this.#wrote) return;
    this.#writes.fill(0);
    this.#wrote = false;
  }

  /** After it: what it writes on every visit is certain. */
  commitInsn(): void {
    const instance = this.#committing;
    if (!instance) return;
    this.#commit(instance, this.#insn);
    this.#committing = undefined;
  }

  #commit(instance: Instance, insn: number): void {
    const at = insn - instance.start;
    const first = instance.visited[at] === 0;
    for (let f = 0; f <= instance.depth; f++) {
      const low = this.#writes[f * 2]!;
      const high = this.#writes[f * 2 + 1]!;
      const known = instance.frames[f];
      if (first ? (low | high) === 0 : !known) continue;
      const masks = known ?? this.#masks(instance, f);
      const oldLow = masks.written[at * 2]!;
      const oldHigh = masks.written[at * 2 + 1]!;
      const newLow = first ? low : oldLow & low;
      const newHigh = first ? high : oldHigh & high;
      if (newLow === oldLow && newHigh === oldHigh) continue;
      masks.written[at * 2] = newLow;
      masks.written[at * 2 + 1] = newHigh;
      instance.updated = true;
      if (!first) instance.dropped = true;
    }
    instance.visited[at] = 1;
  }

  markWrite(frameno: number, spi: number): void {
    this.#wrote = true;
    if (spi < 32) this.#writes[frameno * 2]! |= 1 << spi;
    else this.#writes[frameno * 2 + 1]! |= 1 << (spi - 32);
  }

  markRead(frameno: number, spi: number): void {
    const instance = this.#here();
    const low = spi < 32 ? 1 << spi : 0;
    const high = spi < 32 ? 0 : 1 << (spi - 32);
    this.#addRead(instance, frameno, this.#env.insnIdx, low, high);
  }

  #addRead(instance: Instance, frameno: number, insn: number, low: number, high: number): void {
    const { read } = this.#masks(instance, frameno);
    const at = (insn - instance.start) * 2;
    if ((~read[at]! & low) | (~read[at + 1]! & high)) {
      read[at]! |= low;
      read[at + 1]! |= high;
      instance.updated = true;
    }
  }

  /** A path has ended: works out what is alive, innermost function first. */
  update(): void {
    const { cur } = this.#env;
    for (let f = cur.curframe; f >= 0; f--) {
      const instance = f === cur.curframe ? this.#here() : this.#instanceOf(cur, f);
      this.#flow(instance);
    }
  }

  #flow(instance: Instance): void {
    if (!instance.updated) return;
    instance.updated = false;
    let order = this.#orders.get(instance.start);
    if (!order) {
      order = postorder(this.#env, instance.start);
      this.#orders.set(instance.start, order);
    }
    const { dropped } = instance;
    instance.dropped = false;
    let outer = false;
    instance.frames.forEach((masks, frameno) => {
      if (frameno < instance.depth) outer = true;
      if (!dropped) return;
      masks?.live.fill(0);
      masks?.writtenLater.fill(0);
    });
    let rounds = 0;
    for (let changed = true; changed; rounds++) {
      changed = false;
      for (let f = 0; f < instance.frames.length; f++) if (this.#flowFrame(instance, f, order)) changed = true;
    }
    if (this.#env.log.verbose) this.#env.log.write(`${chainText(instance)} live stack update done in ${rounds} iterations\n`);
    if (outer) this.#passOut(instance);
  }

  /** One round over a frame's masks; true where something changed. */
  #flowFrame(instance: Instance, frameno: number, order: readonly number[]): boolean {
    const masks = instance.frames[frameno];
    if (!masks) return false;
    const { start } = instance;
    const { read, written, writtenLater, live } = masks;
    const out = [0, 0];
    let changed = false;
    for (const insn of order) {
      const at = (insn - start) * 2;
      const count = successors(this.#env, insn, out);
      let liveLow = 0;
      let liveHigh = 0;
      let laterLow = count ? -1 : 0;
      let laterHigh = laterLow;
      for (let s = 0; s < count; s++) {
        const to = (out[s]! - start) * 2;
        liveLow |= live[to]!;
        liveHigh |= live[to + 1]!;
        laterLow &= writtenLater[to]!;
        laterHigh &= writtenLater[to + 1]!;
      }
      // A tail call may leave the function: what follows need not be written.
      if (isTailCall(this.#env.insns[insn]!)) laterLow = laterHigh = 0;
      liveLow = (liveLow & ~written[at]!) | read[at]!;
      liveHigh = (liveHigh & ~written[at + 1]!) | read[at + 1]!;
      laterLow |= written[at]!;
      laterHigh |= written[at + 1]!;
      if (
        live[at] === liveLow &&
        live[at + 1] === liveHigh &&
        writtenLater[at] === laterLow &&
        writtenLater[at + 1] === laterHigh
      ) {
        continue;
      }
      if (this.#env.log.verbose && this.#isLogged(instance, masks, insn)) {
        const head = `${chainText(instance)} frame ${frameno} insn ${insn} `;
        this.#logChange(`${head}`, 'live', [live[at]!, live[at + 1]!], [liveLow, liveHigh]);
        this.#logChange(`${head}`, 'written', [writtenLater[at]!, writtenLater[at + 1]!], [laterLow, laterHigh]);
      }
      live[at] = liveLow;
      live[at + 1] = liveHigh;
      writtenLater[at] = laterLow;
      writtenLater[at + 1] = laterHigh;
      changed = true;
    }
    return changed;
  }

  /** The log speaks of instructions that touch the frame, of the function's first, and of those where states are kept. */
  #isLogged(instance: Instance, { read, written }: FrameMasks, insn: number): boolean {
    const at = (insn - instance.start) * 2;
    const touches = (read[at]! | read[at + 1]! | written[at]! | written[at + 1]!) !== 0;
    return touches || insn === instance.start || this.#env.prunePoint[insn] === 1;
  }

  #logChange(head: string, what: string, old: Mask, now: Mask): void {
    const came = slotsText([now[0] & ~old[0], now[1] & ~old[1]]);
    const went = slotsText([old[0] & ~now[0], old[1] & ~now[1]]);
    if (came === '' && went === '') return;
    this.#env.log.write(`${head}${came && `+${what} ${came} `}${went && `-${what} ${went}`}\n`);
  }

  /** What the callee reads of its callers' frames, and certainly writes, happens at the call. */
  #passOut(instance: Instance): void {
    const { parent, callsite } = instance;
    if (!parent) return;
    this.#writes.fill(0);
    this.#wrote = true;
    for (let f = 0; f < instance.depth; f++) {
      const masks = instance.frames[f];
      if (!masks) continue;
      this.#writes[f * 2] = masks.writtenLater[0]!;
      this.#writes[f * 2 + 1] = masks.writtenLater[1]!;
      this.#addRead(parent, f, callsite, masks.live[0]!, masks.live[1]!);
    }
    this.#commit(parent, callsite);
  }

  /** Which slots of one frame may still be read from `state` on: low and high word. */
  aliveSlots(state: VerifierState, frameno: number): readonly [number, number] {
    let low = 0;
    let high = 0;
    const add = (instance: Instance, insn: number): void => {
      const masks = instance.frames[frameno];
      if (!masks) return;
      const at = (insn - instance.start) * 2;
      low |= masks.live[at]!;
      high |= masks.live[at + 1]!;
    };
    add(this.#instanceOf(state, state.curframe), state.insnIdx);
    for (let f = frameno; f < state.curframe; f++) {
      const { callsite } = state.frames[f + 1]!;
      add(this.#instanceOf(state, f), this.#env.callsCallback[callsite] ? callsite : callsite + 1);
    }
    return [low, high];
  }
}
