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

/** A function's instructions in the order in which data flows backwards, each with where it leads. */
class Flow {
  /** Three words a place: the instruction, and up to two that may follow, −1 where none does; all twice their distance from the start. */
  readonly steps: Int32Array;
  readonly places: Int32Array;
  /** By place: the first place of an instruction that leads here. */
  readonly firstFrom: Int32Array;
  /** By place: a tail call, which may leave the function. */
  readonly leaves: Uint8Array;

  constructor(env: Env, start: number, size: number) {
    const order = postorder(env, start);
    const out = [0, 0];
    this.steps = new Int32Array(order.length * 3);
    this.places = new Int32Array(size);
    this.firstFrom = new Int32Array(order.length).fill(order.length);
    this.leaves = new Uint8Array(order.length);
    order.forEach((insn, place) => (this.places[insn - start] = place));
    order.forEach((insn, place) => {
      const count = successors(env, insn, out);
      this.steps[place * 3] = (insn - start) * 2;
      for (let s = 0; s < 2; s++) {
        this.steps[place * 3 + 1 + s] = s < count ? (out[s]! - start) * 2 : -1;
        if (s >= count) continue;
        const to = this.places[out[s]! - start]!;
        if (place < this.firstFrom[to]!) this.firstFrom[to] = place;
      }
      if (isTailCall(env.insns[insn]!)) this.leaves[place] = 1;
    });
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
  /** The first place in the flow whose reads or writes changed. */
  firstChanged = 0;
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
  readonly #flows: Map<number, Flow> = new Map();
  #current: Instance | undefined = undefined;
  #committing: Instance | undefined = undefined;
  #insn = 0;
  /** Something changed in the round at hand. */
  #roundChanged = false;
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
      this.#changed(instance, at);
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
      this.#changed(instance, insn - instance.start);
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

  #changed(instance: Instance, at: number): void {
    instance.updated = true;
    const place = this.#flowOf(instance).places[at]!;
    if (place < instance.firstChanged) instance.firstChanged = place;
  }

  #flowOf({ start, visited }: Instance): Flow {
    let flow = this.#flows.get(start);
    if (!flow) {
      flow = new Flow(this.#env, start, visited.length);
      this.#flows.set(start, flow);
    }
    return flow;
  }

  /** Rounds until nothing changes, each from the first place that can. */
  #flow(instance: Instance): void {
    if (!instance.updated) return;
    instance.updated = false;
    const flow = this.#flowOf(instance);
    const { dropped } = instance;
    instance.dropped = false;
    let outer = false;
    instance.frames.forEach((masks, frameno) => {
      if (frameno < instance.depth) outer = true;
      if (!dropped) return;
      masks?.live.fill(0);
      masks?.writtenLater.fill(0);
    });
    const end = flow.leaves.length;
    let rounds = 1;
    for (let from = dropped ? 0 : instance.firstChanged; from < end;) {
      const first = from;
      from = end;
      this.#roundChanged = false;
      for (let f = 0; f < instance.frames.length; f++) from = Math.min(from, this.#flowFrame(instance, f, flow, first));
      if (this.#roundChanged) rounds++;
    }
    instance.firstChanged = end;
    if (this.#env.log.verbose) this.#env.log.write(`${chainText(instance)} live stack update done in ${rounds} iterations\n`);
    if (outer) this.#passOut(instance);
  }

  /** One round over a frame's masks from place `first` on; where the next must begin. */
  #flowFrame(instance: Instance, frameno: number, flow: Flow, first: number): number {
    const { steps, firstFrom, leaves } = flow;
    const end = leaves.length;
    const masks = instance.frames[frameno];
    if (!masks) return end;
    const { read, written, writtenLater, live } = masks;
    const { verbose } = this.#env.log;
    let next = end;
    let changed = false;
    for (let place = first; place < end; place++) {
      const at = steps[place * 3]!;
      const to = steps[place * 3 + 1]!;
      const also = steps[place * 3 + 2]!;
      let liveLow = 0;
      let liveHigh = 0;
      let laterLow = 0;
      let laterHigh = 0;
      if (to >= 0) {
        liveLow = live[to]!;
        liveHigh = live[to + 1]!;
        laterLow = writtenLater[to]!;
        laterHigh = writtenLater[to + 1]!;
      }
      if (also >= 0) {
        liveLow |= live[also]!;
        liveHigh |= live[also + 1]!;
        laterLow &= writtenLater[also]!;
        laterHigh &= writtenLater[also + 1]!;
      }
      // A tail call may leave the function: what follows need not be written.
      if (leaves[place] === 1) laterLow = laterHigh = 0;
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
      const insn = instance.start + (at >> 1);
      if (verbose && this.#isLogged(instance, masks, insn)) {
        const head = `${chainText(instance)} frame ${frameno} insn ${insn} `;
        this.#logChange(`${head}`, 'live', [live[at]!, live[at + 1]!], [liveLow, liveHigh]);
        this.#logChange(`${head}`, 'written', [writtenLater[at]!, writtenLater[at + 1]!], [laterLow, laterHigh]);
      }
      live[at] = liveLow;
      live[at + 1] = liveHigh;
      writtenLater[at] = laterLow;
      writtenLater[at + 1] = laterHigh;
      // What leads here from a later place sees it in this round, what leads here from an earlier one in the next.
      changed = true;
      if (firstFrom[place]! <= place && firstFrom[place]! < next) next = firstFrom[place]!;
    }
    if (changed) this.#roundChanged = true;
    return next;
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
