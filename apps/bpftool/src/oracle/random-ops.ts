/** Random operations on a hook, in the words of a trace. The same seed gives the same operations. */

import { RandomTc } from './random-tc.ts';
import type { Trace, TraceOp } from './trace.ts';

/** A random number generator with 32 bits of state (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The set-up before the first operation; `fillers` programs more for work around a full hook. */
export function emptyTrace(seed: number, fillers: number, tc = false): Trace {
  const pool = Array.from({ length: 8 }, (_, i) => `p${i}`);
  return { header: { v: 1, kind: 'header', seed, kernel: '', preamble: { pool, fillers, tc }, state: null }, ops: [] };
}

const KINDS: readonly (readonly [op: string, weight: number])[] = [
  ['attach', 26],
  ['detach', 18],
  ['link_create', 18],
  ['link_update', 8],
  ['link_detach', 3],
  ['link_close', 8],
  ['link_info', 3],
  ['id_to_fd', 3],
  ['query', 6],
  ['dev_del', 1],
  ['dev_add', 2],
  ['clsact_add', 2],
  ['clsact_del', 2],
  ['prog_close', 2],
  ['prog_load', 3],
];
/** Besides, where classic tc and owners take part. */
const TC_KINDS: typeof KINDS = [
  ...KINDS,
  ['filter', 40],
  ['filter_del', 14],
  ['filter_get', 4],
  ['filter_dump', 3],
  ['qdisc_add', 8],
  ['qdisc_del', 2],
  ['pin', 5],
  ['unpin', 4],
  ['pin_get', 4],
  ['task_exit', 2],
];

/** Makes operations one after the other; `note` tells it what was made, so that later ones refer to it. */
export class RandomOps {
  readonly #random: () => number;
  readonly #fillers: number;
  readonly #kinds: typeof KINDS;
  readonly #total: number;
  readonly #tc: RandomTc;
  #programs = 8;
  #links = 0;
  #device = 0;
  #alive = true;
  #count = 0;

  constructor(seed: number, fillers: number, tc = false) {
    this.#random = seeded(seed);
    this.#fillers = fillers;
    this.#kinds = tc ? TC_KINDS : KINDS;
    this.#total = this.#kinds.reduce((sum, [, weight]) => sum + weight, 0);
    this.#tc = new RandomTc(this.#random, {
      device: () => this.#deviceRef(),
      program: () => this.#progRef(),
    });
  }

  next(): TraceOp {
    const op = this.#kind();
    const by = this.#kinds === TC_KINDS && this.#chance(0.3) ? { by: this.#pick(['t1', 't2']) } : {};
    return { i: this.#count++, op, res: '', state: null, ...by, ...this.#fields(op) };
  }

  /** What a successful operation changed. */
  note({ op }: TraceOp, res: string): void {
    if (res !== 'OK') return;
    if (op === 'link_create') this.#links++;
    if (op === 'prog_load') this.#programs++;
    if (op === 'dev_add') this.#device++;
    if (op === 'dev_add') this.#alive = true;
    if (op === 'dev_del') this.#alive = false;
  }

  #kind(): string {
    if (!this.#alive && this.#chance(0.4)) return 'dev_add';
    for (;;) {
      let at = this.#random() * this.#total;
      const [op] = this.#kinds.find(([, weight]) => (at -= weight) < 0) ?? KINDS[0]!;
      const forDevices = op.startsWith('clsact') || op === 'dev_del';
      if (op === 'dev_add' ? !this.#alive : !forDevices || this.#alive) return op;
    }
  }

  #fields(op: string): Record<string, unknown> {
    switch (op) {
      case 'attach':
      case 'detach':
        return {
          ...this.#place(),
          prog: op === 'detach' && this.#chance(0.4) ? '0' : this.#progRef(),
          ...this.#order(),
          replace: this.#chance(0.3) ? this.#progRef() : '0',
        };
      case 'link_create':
        return { ...this.#place(), prog: this.#progRef(), ...this.#order() };
      case 'link_update':
        return {
          link: this.#linkRef(),
          new: this.#progRef(),
          flags: this.#some(['REPLACE'], 0.4),
          old: this.#chance(0.4) ? this.#progRef() : '0',
        };
      case 'link_detach':
        return { link: this.#linkRef() };
      case 'link_info':
        // Other kinds of object answer with an info of their own kind.
        return { link: this.#links === 0 ? this.#pick(['fd:bad', 'fd:lf', 'fd:lx']) : `fd:l${this.#index(this.#links)}` };
      case 'link_close':
        return { link: `l${this.#index(this.#links)}` };
      case 'prog_close':
        return { prog: `p${this.#index(this.#programs)}` };
      case 'id_to_fd':
        return this.#chance(0.5)
          ? { kind: 'link', ref: `id:l${this.#index(this.#links)}` }
          : { kind: 'prog', ref: `id:p${this.#index(this.#programs)}` };
      case 'query':
        return {
          ...this.#place(),
          count: this.#pick([0, 1, 2, 8, 64]),
          ids: this.#chance(0.9),
          query_flags: this.#chance(0.05) ? 1 : 0,
          attach_flags: this.#chance(0.05) ? 2 : 0,
        };
      case 'pin':
        return { ref: this.#chance(0.6) ? this.#linkRef() : this.#progRef(), at: this.#pinName() };
      case 'unpin':
      case 'pin_get':
        return { at: this.#pinName() };
      case 'task_exit':
        return { task: this.#pick(['t1', 't2']) };
      default:
        return this.#tc.fields(op);
    }
  }

  #pinName(): string {
    return `n${this.#index(5)}`;
  }

  #place(): { dev: string; hook: string } {
    return { dev: this.#deviceRef(), hook: this.#chance(0.7) ? 'ingress' : 'egress' };
  }

  #deviceRef(): string {
    return this.#chance(0.97)
      ? `d${this.#chance(0.97) ? this.#device : this.#index(this.#device + 1)}`
      : this.#pick(['bad', '0']);
  }

  #order(): { flags: string[]; rel: string; rev: number } {
    const flags = [
      ...this.#some(['BEFORE'], 0.35),
      ...this.#some(['AFTER'], 0.35),
      ...this.#some(['REPLACE'], 0.2),
      ...this.#some(['0x80', '0x400'], 0.02),
    ];
    const relative = this.#chance(0.5);
    if (relative && this.#chance(0.3)) flags.push('ID');
    const link = relative && this.#chance(0.4);
    if (link) flags.push('LINK');
    const ref = link ? this.#linkRef() : this.#progRef();
    const rel = relative ? (flags.includes('ID') ? idOf(ref, link ? 'l' : '[pf]') : ref) : '0';
    return { flags, rel, rev: this.#chance(0.25) ? 1 + this.#index(12) : 0 };
  }

  #progRef(): string {
    if (this.#chance(0.06)) return this.#pick(['fd:bad', 'fd:neg', 'fd:map', 'fd:px', 'fd:lf', '0']);
    return this.#fillers > 0 && this.#chance(0.7) ? `fd:f${this.#index(this.#fillers)}` : `fd:p${this.#index(this.#programs)}`;
  }

  #linkRef(): string {
    if (this.#links === 0 || this.#chance(0.06)) return this.#pick(['fd:bad', 'fd:map', 'fd:p1', 'fd:lf', 'fd:lx']);
    return `fd:l${Math.max(0, this.#links - 1 - this.#index(Math.min(this.#links, 12)))}`;
  }

  #some(values: string[], probability: number): string[] {
    return this.#chance(probability) ? [this.#pick(values)] : [];
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }

  #index(count: number): number {
    return count === 0 ? 0 : Math.floor(this.#random() * count);
  }

  #pick<T>(values: readonly T[]): T {
    return values[this.#index(values.length)]!;
  }
}

/** The same object by its id. Ids of other kinds mean another object on each kernel, so they become one that is nowhere. */
function idOf(ref: string, kind: string): string {
  return new RegExp(`^fd:${kind}\\d`).test(ref) ? ref.replace('fd:', 'id:') : 'id:bad';
}
