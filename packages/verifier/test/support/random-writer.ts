/** A writer of random instructions that knows what its registers hold and keeps the rules, and slips now and then. */

import type { Program } from './case.ts';
import type { Random } from './random.ts';

/** What the writer believes a register holds. */
export type Held =
  | { readonly kind: 'none' | 'ctx' | 'end' }
  | { readonly kind: 'number'; /** At most this, at least 0; undefined where nothing is known. */ readonly most?: number }
  | { readonly kind: 'packet'; readonly proven: number }
  | { readonly kind: 'value' | 'memory'; readonly size: number };

export const NONE: Held = { kind: 'none' };
export const NUMBER: Held = { kind: 'number' };

export interface Setting {
  readonly program: Omit<Program, 'text'>;
  /** Offsets of 4-byte context fields that may be read. */
  readonly fields: readonly number[];
  readonly fieldType: string;
  /** data and data_end: offset and size. */
  readonly packet?: { readonly data: number; readonly end: number; readonly type: string; readonly write: boolean };
  /** The helper that reads packet bytes, if any. */
  readonly loadBytes?: string;
  readonly ringbuf: boolean;
  readonly locks: boolean;
  readonly result: readonly number[];
}

export const SETTINGS: readonly Setting[] = [
  {
    program: { type: 'sched_cls' },
    fields: [0, 4, 8, 12, 32, 36, 40, 68],
    fieldType: 'u32',
    packet: { data: 76, end: 80, type: 'u32', write: true },
    loadBytes: 'bpf_skb_load_bytes',
    ringbuf: true,
    locks: true,
    result: [-1, 0, 2],
  },
  {
    program: { type: 'xdp' },
    fields: [12, 16],
    fieldType: 'u32',
    packet: { data: 0, end: 4, type: 'u32', write: true },
    loadBytes: 'bpf_xdp_load_bytes',
    ringbuf: true,
    locks: true,
    result: [0, 1, 2, 3],
  },
  {
    program: { type: 'socket_filter' },
    fields: [0, 4, 8, 40],
    fieldType: 'u32',
    loadBytes: 'bpf_skb_load_bytes',
    ringbuf: true,
    locks: false,
    result: [0, 100],
  },
  {
    program: { type: 'cgroup_skb', attach: 0 },
    fields: [0, 4, 8, 88],
    fieldType: 'u32',
    packet: { data: 76, end: 80, type: 'u32', write: false },
    loadBytes: 'bpf_skb_load_bytes',
    ringbuf: true,
    locks: true,
    result: [0, 1],
  },
  { program: { type: 'kprobe' }, fields: [0, 8, 16, 112, 104], fieldType: 'u64', ringbuf: true, locks: false, result: [0] },
  { program: { type: 'tracepoint' }, fields: [8, 16, 24], fieldType: 'u64', ringbuf: true, locks: false, result: [0] },
  { program: { type: 'raw_tracepoint' }, fields: [0, 8, 16], fieldType: 'u64', ringbuf: true, locks: false, result: [0] },
  {
    program: { type: 'sk_skb' },
    fields: [0, 4, 88],
    fieldType: 'u32',
    packet: { data: 76, end: 80, type: 'u32', write: true },
    loadBytes: 'bpf_skb_load_bytes',
    ringbuf: true,
    locks: true,
    result: [0, 1],
  },
  {
    program: { type: 'lwt_xmit' },
    fields: [0, 8],
    fieldType: 'u32',
    packet: { data: 76, end: 80, type: 'u32', write: true },
    loadBytes: 'bpf_skb_load_bytes',
    ringbuf: true,
    locks: true,
    result: [0, 2],
  },
];

export const VALUES: readonly (readonly [string, number, number])[] = [
  ['array', 4, 8],
  ['array48', 4, 48],
  ['hash', 4, 8],
  ['hash48', 8, 48],
  ['hash16', 16, 16],
  ['percpu_array', 4, 8],
  ['lru', 4, 8],
  ['readonly', 4, 16],
];
export const SIZES: readonly (readonly [string, number])[] = [
  ['u8', 1],
  ['u16', 2],
  ['u32', 4],
  ['u64', 8],
];
const SIGNED: readonly (readonly [string, number])[] = [
  ['s8', 1],
  ['s16', 2],
  ['s32', 4],
];
const ALU = ['+=', '-=', '*=', '/=', '%=', '|=', '&=', '^=', '<<=', '>>=', 's>>=', '=', 's/=', 's%='];
const CONDITIONS = ['==', '!=', '>', '>=', '<', '<=', 's>', 's>=', 's<', 's<=', '&'];

export class Writer {
  protected readonly random: Random;
  protected readonly setting: Setting;
  protected readonly lines: string[] = [];
  protected readonly functions: string[][] = [];
  protected readonly slip: number;
  protected held: Held[] = Array.from({ length: 10 }, () => NONE);
  /** Stack slots of 8 bytes below the frame pointer that were written: what they hold. */
  protected slots = new Map<number, Held>();
  protected labels = 0;
  protected nesting = 0;
  /** In a function: no context, no further functions. */
  protected inner = false;
  /** Every function has a BTF description, so callbacks may be used. */
  described = false;

  constructor(random: Random, setting: Setting, slip: number) {
    this.random = random;
    this.setting = setting;
    this.slip = slip;
  }

  write(): string {
    if (this.described) this.emit('.func main ctx');
    this.emit('r6 = r1');
    this.held[1] = this.held[6] = { kind: 'ctx' };
    for (let count = 2 + this.random.below(14); count > 0; count--) this.statement();
    this.result();
    return [...this.lines, ...this.functions.flat()].join('\n');
  }

  protected emit(text: string): void {
    this.lines.push(text);
  }

  protected label(): string {
    return `l${this.labels++}`;
  }

  protected slips(): boolean {
    return this.random.below(1000) < this.slip;
  }

  protected result(): void {
    if (this.held[0]!.kind === 'number' && this.random.chance(15)) {
      this.emit('r0 &= 1');
      if (this.setting.result.includes(1) || this.setting.result.length === 1) {
        this.emit('exit');
        return;
      }
    }
    if (!this.slips()) this.emit(`r0 = ${this.random.of(this.setting.result)}`);
    this.emit('exit');
  }

  /** A writer for another function of the same program. */
  protected fresh(): Writer {
    const inner = new Writer(this.random, this.setting, this.slip);
    inner.described = this.described;
    return inner;
  }

  protected statement(): void {
    if (this.slips()) this.mischief();
    this.random.of(this.choices())();
  }

  protected choices(): (() => void)[] {
    const kinds: (() => void)[] = [
      () => this.arithmetic(),
      () => this.arithmetic(),
      () => this.field(),
      () => this.stackWrite(),
      () => this.stackRead(),
      () => this.lookup(),
      () => this.lookup(),
      () => this.branch(),
      () => this.branch(),
      () => this.access(),
      () => this.access(),
      () => this.loop(),
      () => this.number(),
      () => this.call(),
      () => this.spill(),
      () => this.atomic(),
      () => this.extend(),
      () => this.bounded(),
      () => this.bounded(),
      () => this.copy(),
      () => this.variableStack(),
      () => this.linked(),
      () => this.move(),
    ];
    if (this.setting.packet && !this.inner)
      kinds.push(
        () => this.packet(),
        () => this.packet(),
      );
    if (this.setting.loadBytes && !this.inner) kinds.push(() => this.loadBytes());
    if (this.setting.ringbuf) kinds.push(() => this.ringbuf());
    if (this.setting.locks && !this.inner) kinds.push(() => this.lock());
    if (!this.inner && this.functions.length < 3) kinds.push(() => this.function());
    return kinds;
  }

  /** Registers that hold one of the kinds. */
  protected having(...kinds: Held['kind'][]): number[] {
    return this.held.flatMap((held, reg) => (kinds.includes(held.kind) ? [reg] : []));
  }

  /** A register to write: mostly not the context's. */
  protected target(): number {
    return this.random.of(this.slips() ? [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] : [0, 2, 3, 4, 5, 7, 8, 9]);
  }

  protected anyNumber(): number {
    const numbers = this.having('number');
    if (numbers.length > 0) return this.random.of(numbers);
    const reg = this.target();
    this.emit(`r${reg} = ${this.random.odd()}`);
    this.held[reg] = NUMBER;
    return reg;
  }

  protected number(): void {
    const reg = this.target();
    if (this.random.chance(20)) {
      this.emit(`r${reg} = 0x${((BigInt(this.random.odd() >>> 0) << 32n) | BigInt(this.random.odd() >>> 0)).toString(16)} ll`);
    } else this.emit(`${this.random.of(['r', 'w'])}${reg} = ${this.random.odd()}`);
    this.held[reg] = NUMBER;
  }

  protected copy(): void {
    const from = this.random.of(this.having('number', 'value', 'packet', 'ctx', 'memory'));
    if (from === undefined) return;
    const to = this.target();
    this.emit(`r${to} = r${from}`);
    this.held[to] = this.held[from]!;
  }

  protected arithmetic(): void {
    const random = this.random;
    const reg = this.anyNumber();
    const width = random.of(['r', 'r', 'w']);
    const op = random.of(ALU);
    const shift = op.includes('<<') || op.includes('>>');
    if (random.chance(40)) {
      const other = random.of(this.having('number'));
      this.emit(`${width}${reg} ${op} ${width}${other}`);
    } else {
      const limit = width === 'r' ? 64 : 32;
      let value = shift ? random.below(limit) : random.odd();
      if (/[/%]/.test(op) && value === 0 && !this.slips()) value = 3;
      this.emit(`${width}${reg} ${op} ${value}`);
    }
    this.held[reg] = NUMBER;
  }

  protected extend(): void {
    const reg = this.anyNumber();
    const random = this.random;
    switch (random.below(4)) {
      case 0:
        this.emit(`r${reg} = (${random.of(['s8', 's16', 's32'])})r${reg}`);
        break;
      case 1:
        this.emit(`w${reg} = (${random.of(['s8', 's16'])})w${reg}`);
        break;
      case 2:
        this.emit(`r${reg} = ${random.of(['be', 'le', 'bswap'])}${random.of([16, 32, 64])} r${reg}`);
        break;
      default:
        this.emit(`${random.chance(50) ? `r${reg} = -r${reg}` : `w${reg} = -w${reg}`}`);
    }
    this.held[reg] = NUMBER;
  }

  /** A number whose upper bound is known, by a mask, a shift, a remainder or a comparison. */
  protected bounded(): void {
    const random = this.random;
    const reg = this.anyNumber();
    const most = random.of([0, 1, 3, 7, 8, 15, 16, 31, 39, 40, 47, 48, 63]);
    switch (random.below(5)) {
      case 0:
      case 1:
        this.emit(`${random.of(['r', 'w'])}${reg} &= ${most}`);
        break;
      case 2:
        this.emit(`${random.of(['r', 'w'])}${reg} %= ${most + 1}`);
        break;
      case 3:
        this.emit(`r${reg} >>= 60`);
        break;
      default: {
        const inside = this.label();
        this.emit(`if ${random.of(['r', 'r', 'w'])}${reg} <= ${most} goto ${inside}`);
        this.leave();
        this.emit(`${inside}:`);
      }
    }
    this.held[reg] = { kind: 'number', most };
  }

  /** Ends the program (or function) here. */
  protected leave(): void {
    this.emit(`r0 = ${this.inner ? 0 : this.random.of(this.setting.result)}`);
    this.emit('exit');
  }

  protected field(): void {
    const base = this.random.of(this.having('ctx'));
    if (base === undefined) return;
    const reg = this.target();
    this.emit(`r${reg} = *(${this.setting.fieldType} *)(r${base} +${this.random.of(this.setting.fields)})`);
    this.held[reg] = NUMBER;
  }

  protected slot(): number {
    return 1 + this.random.below(8);
  }

  protected stackWrite(): void {
    const random = this.random;
    const slot = this.slot();
    const [type, size] = random.of(SIZES);
    const within = random.below(8 / size) * size;
    const at = `(${type} *)(r10 ${-8 * slot + within})`;
    const numbers = this.having('number');
    if (numbers.length > 0 && random.chance(60)) this.emit(`*${at} = r${random.of(numbers)}`);
    else this.emit(`*${at} = ${random.odd()}`);
    const before = this.slots.get(slot);
    if (size === 8) this.slots.set(slot, NUMBER);
    else if (before && before.kind !== 'number') this.slots.delete(slot);
  }

  protected stackRead(): void {
    const random = this.random;
    const written = [...this.slots].filter(([, held]) => held.kind === 'number').map(([slot]) => slot);
    if (written.length === 0 && !this.slips()) return this.stackWrite();
    const [type, size] = random.of(random.chance(25) ? SIGNED : SIZES);
    const slot = written.length > 0 ? random.of(written) : this.slot();
    const reg = this.target();
    this.emit(`r${reg} = *(${type} *)(r10 ${-8 * slot + random.below(8 / size) * size})`);
    this.held[reg] = NUMBER;
  }

  protected spill(): void {
    const random = this.random;
    const regs = this.having('number', 'value', 'packet', 'ctx', 'memory');
    if (regs.length === 0) return;
    const reg = random.of(regs);
    const slot = this.slot();
    this.emit(`*(u64 *)(r10 ${-8 * slot}) = r${reg}`);
    this.slots.set(slot, this.held[reg]!);
    if (random.chance(60)) {
      const to = this.target();
      this.emit(`r${to} = *(u64 *)(r10 ${-8 * slot})`);
      this.held[to] = this.held[reg]!;
    }
  }

  protected atomic(): void {
    const random = this.random;
    const [slot] = [...this.slots].find(([, held]) => held.kind === 'number') ?? [];
    if (slot === undefined) return this.stackWrite();
    const reg = this.anyNumber();
    const type = random.of(['u32', 'u64']);
    const at = `(${type} *)(r10 ${-8 * slot})`;
    const prefix = type === 'u64' ? 'atomic64' : 'atomic';
    switch (random.below(4)) {
      case 0:
        this.emit(`lock *${at} ${random.of(['+=', '|=', '&=', '^='])} r${reg}`);
        break;
      case 1:
        this.emit(`r${reg} = ${prefix}_${random.of(['fetch_add', 'fetch_or', 'fetch_and', 'fetch_xor'])}(${at}, r${reg})`);
        break;
      case 2:
        this.emit(`r${reg} = ${prefix}_xchg(${at}, r${reg})`);
        break;
      default:
        if (this.held[0]!.kind === 'number') this.emit(`r0 = ${prefix}_cmpxchg(${at}, r0, r${reg})`);
    }
    this.held[reg] = NUMBER;
  }

  /** Reads or writes the frame at a place that a bounded number chooses. */
  protected variableStack(): void {
    const random = this.random;
    const bounded = this.held.flatMap((now, reg) =>
      now.kind === 'number' && now.most !== undefined && now.most <= 48 ? [reg] : [],
    );
    if (bounded.length === 0) return this.bounded();
    const index = random.of(bounded);
    const reg = random.of([2, 3, 4, 5].filter((other) => other !== index));
    const writes = random.chance(60);
    const [type, size] = random.of(writes || random.chance(70) ? SIZES.slice(0, 1) : SIZES);
    if (!writes && !this.slips()) {
      for (let slot = 1; slot <= 8; slot++) {
        if (this.slots.get(slot)?.kind !== 'number') this.emit(`*(u64 *)(r10 ${-8 * slot}) = 0`);
        this.slots.set(slot, NUMBER);
      }
    }
    this.emit(`r${reg} = r10`);
    this.emit(`r${reg} += ${-64 + (this.slips() ? random.below(40) : 0)}`);
    this.emit(`r${reg} += r${index}`);
    if (writes) {
      this.emit(`*(${type} *)(r${reg} +${random.below(8)}) = ${random.odd()}`);
      for (const [slot, held] of this.slots) if (held.kind !== 'number') this.slots.delete(slot);
    } else {
      this.emit(`r${reg} = *(${type} *)(r${reg} +${random.below(9 - size)})`);
    }
    this.held[reg] = writes ? NONE : NUMBER;
  }

  /** A copy of a number, moved by a constant, whose comparison tells of the first. */
  protected linked(): void {
    const random = this.random;
    const reg = this.anyNumber();
    const copy = random.of([2, 3, 4, 5].filter((other) => other !== reg));
    const width = random.of(['r', 'r', 'w']);
    this.emit(`${width}${copy} = ${width}${reg}`);
    const moved = random.chance(50) ? random.below(8) : 0;
    if (moved > 0) this.emit(`${random.of(['r', 'r', 'w'])}${copy} += ${moved}`);
    const most = random.of([7, 8, 15, 31, 40, 47]);
    const inside = this.label();
    this.emit(`if ${random.of(['r', 'r', 'w'])}${copy} <= ${most} goto ${inside}`);
    this.leave();
    this.emit(`${inside}:`);
    this.held[copy] = { kind: 'number', most };
    if (width === 'r' && moved === 0) this.held[reg] = { kind: 'number', most };
    else if (this.slips()) this.held[reg] = { kind: 'number', most };
  }

  /** A pointer moved by a constant or a bounded number, for good. */
  protected move(): void {
    const random = this.random;
    const pointers = this.having('value', 'memory');
    if (pointers.length === 0) return this.lookup();
    const reg = random.of(pointers);
    const held = this.held[reg] as { kind: 'value'; size: number };
    const by = random.of([0, 1, 2, 4, 8]);
    if (by > held.size) return;
    this.emit(`r${reg} += ${by}`);
    this.held[reg] = held.kind === 'value' ? { kind: 'value', size: held.size - by } : by === 0 ? held : NONE;
  }

  protected clobber(): void {
    for (let reg = 1; reg <= 5; reg++) this.held[reg] = NONE;
  }

  /** A map value, in r0 and kept in another register. */
  protected lookup(): void {
    const random = this.random;
    const [map, key, size] = random.of(VALUES);
    const slot = key === 16 ? 2 : 1;
    for (let part = 0; part < key / 8; part++) this.emit(`*(u64 *)(r10 ${-8 * (slot - part)}) = 0`);
    if (key === 4) this.emit(`*(u32 *)(r10 -8) = ${random.chance(70) ? random.below(3) : random.odd()}`);
    if (key === 4 && this.slots.get(1)?.kind !== 'number') this.slots.delete(1);
    else for (let part = 0; part < Math.max(1, key / 8); part++) this.slots.set(slot - part, NUMBER);
    this.emit('r2 = r10');
    this.emit(`r2 += ${-8 * slot}`);
    this.emit(`r1 = map[${map}]`);
    this.emit('call bpf_map_lookup_elem');
    this.clobber();
    const keep = random.of([7, 8, 9]);
    const held: Held = { kind: 'value', size };
    if (this.slips()) {
      this.emit(`r${keep} = r0`);
      this.held[0] = this.held[keep] = held;
      return;
    }
    if (random.chance(70)) {
      const found = this.label();
      this.emit(`if r0 != 0 goto ${found}`);
      this.leave();
      this.emit(`${found}:`);
      if (random.chance(70)) {
        this.emit(`r${keep} = r0`);
        this.held[keep] = held;
      }
      this.held[0] = held;
      return;
    }
    const none = this.label();
    this.emit(`if r0 == 0 goto ${none}`);
    this.held[0] = held;
    this.block(none, () => this.access());
    this.held[0] = NONE;
  }

  /** Statements until `label`; what they changed is forgotten after it. */
  protected block(label: string, first?: () => void): void {
    const held = [...this.held];
    const slots = new Map(this.slots);
    this.nesting++;
    first?.();
    for (let count = this.random.below(3); count > 0; count--) this.statement();
    this.nesting--;
    this.emit(`${label}:`);
    this.held = this.held.map((now, reg) =>
      JSON.stringify(now) === JSON.stringify(held[reg])
        ? now
        : now.kind === 'number' && held[reg]!.kind === 'number'
          ? NUMBER
          : NONE,
    );
    this.slots = new Map([...this.slots].filter(([slot, now]) => slots.get(slot)?.kind === now.kind));
  }

  protected branch(): void {
    const random = this.random;
    if (this.nesting > 3) return;
    const reg = this.anyNumber();
    const numbers = this.having('number');
    const end = this.label();
    const width = random.of(['r', 'r', 'w']);
    const right = random.chance(30) ? `${width}${random.of(numbers)}` : `${random.odd()}`;
    this.emit(`if ${width}${reg} ${random.of(CONDITIONS)} ${right} goto ${end}`);
    this.block(end);
  }

  protected loop(): void {
    const random = this.random;
    if (this.nesting > 1) return;
    const counter = random.of([7, 8, 9]);
    const again = this.label();
    this.emit(`r${counter} = 0`);
    const held = [...this.held];
    const slots = new Map(this.slots);
    // What the body may use must hold on every turn: only what it cannot change.
    this.held = held.map((now, reg) => (reg === counter || reg < 6 ? NONE : now));
    const kept = [...this.held];
    this.slots = new Map();
    this.emit(`${again}:`);
    this.nesting += 2;
    const body = this.lines.length;
    for (let count = 1 + random.below(2); count > 0; count--) this.statement();
    this.nesting -= 2;
    const touched = new RegExp(`^[rw]${counter} |^r${counter} =`);
    if (this.lines.slice(body).some((line) => touched.test(line)) && !this.slips()) {
      this.lines.splice(body);
      this.held = kept;
    }
    this.emit(`r${counter} += 1`);
    this.emit(`if r${counter} < ${1 + random.below(12)} goto ${again}`);
    this.held = this.held.map((now, reg) => (JSON.stringify(now) === JSON.stringify(kept[reg]) ? now : NONE));
    this.held[counter] = NUMBER;
    this.slots = new Map([...slots].filter(([, now]) => now.kind === 'number'));
    for (const [slot] of this.slots)
      if (this.lines.slice(body).some((line) => line.includes(`(r10 ${-8 * slot}`))) this.slots.delete(slot);
  }

  /** Reads or writes through a pointer, at a constant or a variable place. */
  protected access(): void {
    const random = this.random;
    const pointers = this.having('value', 'packet', 'memory');
    if (pointers.length === 0) return this.arithmetic();
    const base = random.of(pointers);
    const held = this.held[base]!;
    const room = held.kind === 'packet' ? held.proven : held.kind === 'value' || held.kind === 'memory' ? held.size : 0;
    const [type, size] = random.of(SIZES);
    if (size > room && !this.slips()) return;
    const over = this.slips() ? random.of([1, 2, 8, 1000]) : 0;
    const bounded = this.held.flatMap((now, reg) =>
      now.kind === 'number' && now.most !== undefined && now.most + size <= room + over ? [reg] : [],
    );
    let through = base;
    let off = random.below(Math.max(1, room - size + 1));
    if (bounded.length > 0 && random.chance(60) && held.kind !== 'packet') {
      const index = random.of(bounded);
      through = random.of([2, 3, 4, 5].filter((reg) => reg !== index));
      this.emit(`r${through} = r${base}`);
      this.emit(`r${through} += r${index}`);
      const most = (this.held[index] as { most: number }).most;
      off = random.below(Math.max(1, room - size - most + 1));
      this.held[through] = NONE;
    }
    if (this.slips()) off += random.of([-1, 1, 2, 8]);
    const at = `(${type} *)(r${through} ${off >= 0 ? `+${off}` : off})`;
    const writable = (held.kind !== 'packet' || this.setting.packet?.write === true) && (room !== 16 || this.slips());
    if (random.chance(45) && writable) {
      const numbers = this.having('number');
      this.emit(numbers.length > 0 && random.chance(60) ? `*${at} = r${random.of(numbers)}` : `*${at} = ${random.odd()}`);
      return;
    }
    const reg = this.target();
    this.emit(`r${reg} = *${at}`);
    this.held[reg] = size === 1 ? { kind: 'number', most: 255 } : NUMBER;
  }

  protected packet(): void {
    const random = this.random;
    const { data, end, type } = this.setting.packet!;
    const [ctx] = this.having('ctx').filter((reg) => reg >= 6);
    if (ctx === undefined) return;
    const start = random.of([7, 8, 9]);
    const bytes = random.of([1, 4, 8, 14, 20, 34, 64]);
    this.emit(`r${start} = *(${type} *)(r${ctx} +${data})`);
    this.emit(`r3 = *(${type} *)(r${ctx} +${end})`);
    this.emit(`r2 = r${start}`);
    this.emit(`r2 += ${bytes}`);
    const ok = this.label();
    this.held[2] = this.held[3] = NONE;
    if (this.slips()) {
      this.held[start] = { kind: 'packet', proven: bytes };
      return;
    }
    if (random.chance(60)) {
      this.emit(`if r2 ${random.of(['<=', '<='])} r3 goto ${ok}`);
      this.leave();
      this.emit(`${ok}:`);
      this.held[start] = { kind: 'packet', proven: bytes };
      return;
    }
    this.emit(`if r2 ${random.of(['>', '>='])} r3 goto ${ok}`);
    this.held[start] = { kind: 'packet', proven: bytes };
    this.block(ok, () => this.access());
    this.held[start] = NONE;
  }

  protected call(): void {
    const random = this.random;
    this.emit(`call ${random.of(['bpf_get_prandom_u32', 'bpf_ktime_get_ns', 'bpf_get_smp_processor_id'])}`);
    this.clobber();
    this.held[0] = NUMBER;
  }

  protected loadBytes(): void {
    const random = this.random;
    const [ctx] = this.having('ctx').filter((reg) => reg >= 6);
    if (ctx === undefined) return;
    const slot = this.slot();
    const size = random.of([1, 4, 8 * slot, 8]);
    const bounded = this.held.flatMap((now, reg) =>
      reg >= 6 && now.kind === 'number' && now.most !== undefined && now.most + 1 <= 8 * slot ? [reg] : [],
    );
    if (bounded.length > 0 && random.chance(50)) {
      this.emit(`r4 = r${random.of(bounded)}`);
      if (!this.slips()) this.emit('r4 += 1');
    } else this.emit(`r4 = ${this.slips() ? size + 1 : Math.min(size, 8 * slot)}`);
    this.emit(`r1 = r${ctx}`);
    this.emit(`r2 = ${random.below(20)}`);
    this.emit('r3 = r10');
    this.emit(`r3 += ${-8 * slot}`);
    this.emit(`call ${this.setting.loadBytes}`);
    this.clobber();
    this.held[0] = NUMBER;
    for (const [at, held] of this.slots) if (at <= slot && held.kind !== 'number') this.slots.delete(at);
  }

  protected ringbuf(): void {
    const random = this.random;
    const size = random.of([8, 16, 24]);
    const keep = random.of([7, 8, 9]);
    const none = this.label();
    this.emit('r1 = map[ringbuf]');
    this.emit(`r2 = ${size}`);
    this.emit('r3 = 0');
    this.emit('call bpf_ringbuf_reserve');
    this.clobber();
    this.emit(`r${keep} = r0`);
    this.emit(`if r0 == 0 goto ${none}`);
    this.held[0] = this.held[keep] = { kind: 'memory', size };
    this.access();
    this.emit(`r1 = r${this.held[keep]!.kind === 'memory' ? keep : 0}`);
    this.emit('r2 = 0');
    if (!this.slips()) this.emit(`call ${random.of(['bpf_ringbuf_submit', 'bpf_ringbuf_discard'])}`);
    this.emit(`${none}:`);
    this.clobber();
    this.held[0] = this.held[keep] = NONE;
  }

  protected lock(): void {
    this.emit('*(u32 *)(r10 -8) = 0');
    if (this.slots.get(1)?.kind !== 'number') this.slots.delete(1);
    this.emit('r2 = r10');
    this.emit('r2 += -8');
    this.emit('r1 = map[lock]');
    this.emit('call bpf_map_lookup_elem');
    const none = this.label();
    this.emit(`if r0 == 0 goto ${none}`);
    this.emit('r9 = r0');
    this.emit('r1 = r0');
    this.emit(`r1 += ${this.slips() ? 8 : 4}`);
    this.emit('call bpf_spin_lock');
    this.emit('r3 = *(u32 *)(r9 +0)');
    this.emit('r3 += 1');
    this.emit('*(u32 *)(r9 +8) = r3');
    if (this.slips()) this.emit('call bpf_get_prandom_u32');
    this.emit('r1 = r9');
    this.emit('r1 += 4');
    if (!this.slips()) this.emit('call bpf_spin_unlock');
    this.emit(`${none}:`);
    this.clobber();
    this.held[0] = this.held[9] = NONE;
  }

  /** A function of numbers, and a call of it. */
  protected function(): void {
    const random = this.random;
    const name = `f${this.functions.length}_${this.labels++}`;
    const inner = this.fresh();
    inner.inner = true;
    inner.labels = this.labels + 1000;
    inner.held[1] = NUMBER;
    inner.held[2] = NUMBER;
    inner.emit(this.described ? `.func ${name} long long` : `${name}:`);
    for (let count = 1 + random.below(4); count > 0; count--) inner.statement();
    if (!this.slips()) inner.emit(`r0 = ${random.odd()}`);
    inner.emit('exit');
    this.labels = inner.labels + 1;
    this.functions.push(inner.lines);
    const first = this.anyNumber();
    this.emit(`r1 = r${first}`);
    this.emit(`r2 = ${random.odd()}`);
    this.emit(`call @${name}`);
    this.clobber();
    this.held[0] = NUMBER;
  }

  /** One instruction that keeps no rule. */
  protected mischief(): void {
    const random = this.random;
    const set = this.having('number', 'ctx', 'packet', 'value', 'memory');
    const reg = (random.chance(90) ? random.of(set) : undefined) ?? random.below(10);
    const other = random.chance(90) ? random.of([...set, 10]) : random.below(11);
    const [type] = random.of(SIZES);
    this.emit(
      random.of([
        `r${reg} = r${other}`,
        `r${reg} += r${other}`,
        `r${reg} -= r${other}`,
        `w${reg} = w${other}`,
        `r${reg} += ${random.odd()}`,
        `r${reg} = *(${type} *)(r${other} ${random.chance(50) ? '+' : '-'}${random.below(64)})`,
        `*(${type} *)(r${other} ${random.chance(50) ? '+' : '-'}${random.below(64)}) = r${reg}`,
        `*(${type} *)(r${other} -${random.below(16)}) = 1`,
        `r${reg} = map[array]`,
        `call bpf_get_prandom_u32`,
        `r${reg} &= r${other}`,
        `r${reg} = -r${reg}`,
        `if r${reg} > r${other} goto pc+0`,
      ]),
    );
    this.held[reg] = NONE;
  }
}
