/**
 * Random programs that a verifier accepts about every second time. Text as tests write it, so that a divergence can be read and
 * kept as a case. What `Writer` does to registers, this adds to: calls that take and give back, callbacks, functions with pointers.
 */

import type { Program } from './case.ts';
import { Random } from './random.ts';
import { NONE, NUMBER, SETTINGS, VALUES, Writer } from './random-writer.ts';

export class CallingWriter extends Writer {
  protected override fresh(): Writer {
    const inner = new CallingWriter(this.random, this.setting, this.slip);
    inner.described = this.described;
    return inner;
  }

  protected override choices(): (() => void)[] {
    const kinds = super.choices();
    kinds.push(
      () => this.update(),
      () => this.dynptr(),
      () => this.mayGoto(),
      () => this.checksum(),
      () => this.innerMap(),
      () => this.keptNull(),
    );
    if (!this.inner) {
      kinds.push(
        () => this.tailCall(),
        () => this.pointerFunction(),
      );
      if (this.setting.program.type === 'sched_cls')
        kinds.push(
          () => this.socket(),
          () => this.absolute(),
        );
      if (this.setting.program.type === 'socket_filter') kinds.push(() => this.absolute());
      if (this.setting.packet) kinds.push(() => this.packetMove());
      if (this.described && this.functions.length < 3)
        kinds.push(
          () => this.callback(),
          () => this.callback(),
        );
    }
    return kinds;
  }

  /** A zeroed key on the stack, its address in r2. */
  protected key(size: number): void {
    for (let slot = 1; slot <= Math.ceil(size / 8); slot++) {
      this.emit(`*(u64 *)(r10 ${-8 * slot}) = 0`);
      this.slots.set(slot, NUMBER);
    }
    this.emit('r2 = r10');
    this.emit(`r2 += ${-8 * Math.ceil(size / 8)}`);
  }

  protected update(): void {
    const random = this.random;
    const [map, key, size] = random.of(VALUES);
    const values = this.held.flatMap((held, reg) =>
      reg >= 6 && (held.kind === 'value' || held.kind === 'memory') && held.size >= size ? [reg] : [],
    );
    this.key(key);
    if (random.chance(30)) {
      this.emit(`r1 = map[${map}]`);
      this.emit('call bpf_map_delete_elem');
    } else {
      if (values.length > 0 && random.chance(50)) this.emit(`r3 = r${random.of(values)}`);
      else {
        const slots = Math.ceil(size / 8) + (this.slips() ? 1 : 0);
        for (let slot = 3; slot < 3 + Math.min(slots, 6); slot++) {
          this.emit(`*(u64 *)(r10 ${-8 * slot}) = ${random.odd()}`);
          this.slots.set(slot, NUMBER);
        }
        this.emit('r3 = r10');
        this.emit(`r3 += ${-8 * (2 + Math.min(slots, 6))}`);
      }
      this.emit('r4 = 0');
      this.emit(`r1 = map[${map}]`);
      this.emit('call bpf_map_update_elem');
    }
    this.clobber();
    this.held[0] = NUMBER;
  }

  protected dynptr(): void {
    const random = this.random;
    const values = this.held.flatMap((held, reg) => (held.kind === 'value' ? [reg] : []));
    for (const slot of [9, 10]) this.slots.delete(slot);
    if (values.length > 0 && random.chance(50)) {
      const reg = random.of(values);
      const { size } = this.held[reg] as { size: number };
      this.emit(`r1 = r${reg}`);
      this.emit(`r2 = ${this.slips() ? size + 1 : size}`);
      this.emit('r3 = 0');
      this.emit('r4 = r10');
      this.emit('r4 += -80');
      this.emit('call bpf_dynptr_from_mem');
      this.clobber();
    } else {
      if (this.setting.program.type === 'syscall') return;
      this.emit('r1 = map[ringbuf]');
      this.emit('r2 = 24');
      this.emit('r3 = 0');
      this.emit('r4 = r10');
      this.emit('r4 += -80');
      this.emit('call bpf_ringbuf_reserve_dynptr');
      this.clobber();
      this.dynptrData();
      this.emit('r1 = r10');
      this.emit(`r1 += ${this.slips() ? -72 : -80}`);
      this.emit('r2 = 0');
      if (!this.slips()) this.emit(`call ${random.of(['bpf_ringbuf_submit_dynptr', 'bpf_ringbuf_discard_dynptr'])}`);
      this.clobber();
      this.held[0] = NONE;
      return;
    }
    this.dynptrData();
    this.held[0] = NONE;
    this.emit('*(u64 *)(r10 -80) = 0');
  }

  protected dynptrData(): void {
    const random = this.random;
    const none = this.label();
    const size = random.of([1, 4, 8, 16]);
    this.emit('r1 = r10');
    this.emit('r1 += -80');
    this.emit(`r2 = ${random.of([0, 0, 4])}`);
    this.emit(`r3 = ${size}`);
    this.emit('call bpf_dynptr_data');
    this.clobber();
    this.emit(`if r0 == 0 goto ${none}`);
    this.emit(`r3 = *(u8 *)(r0 +${random.below(this.slips() ? size + 2 : size)})`);
    this.emit(`${none}:`);
  }

  protected mayGoto(): void {
    // Few of them: where what they change is precise, a verifier walks a million instructions before it gives up.
    if (this.random.below(1000) > 15) return;
    if (this.nesting > 1) return;
    const again = this.label();
    const out = this.label();
    const reg = this.anyNumber();
    this.emit(`${again}:`);
    this.emit(`may_goto ${out}`);
    this.emit(`r${reg} += ${this.random.below(4)}`);
    if (this.random.chance(50)) this.emit(`r${reg} &= ${this.random.of([7, 63, 255])}`);
    this.emit(`goto ${again}`);
    this.emit(`${out}:`);
    this.held[reg] = NUMBER;
    for (let other = 0; other < 10; other++) if (this.held[other]!.kind === 'number') this.held[other] = NUMBER;
  }

  protected checksum(): void {
    const random = this.random;
    if (!['sched_cls', 'xdp', 'lwt_xmit'].includes(this.setting.program.type)) return;
    const pointers = this.having('value', 'packet', 'memory').filter((reg) => reg >= 6 || reg === 0);
    const bounded = this.held.flatMap((held, reg) =>
      reg >= 6 && held.kind === 'number' && held.most !== undefined && held.most < 64 ? [reg] : [],
    );
    if (pointers.length === 0) return;
    const from = random.of(pointers);
    const held = this.held[from]! as { size?: number; proven?: number };
    const room = held.size ?? held.proven ?? 0;
    this.emit(`r1 = r${from}`);
    if (bounded.length > 0 && random.chance(50)) this.emit(`r2 = r${random.of(bounded)}`);
    else this.emit(`r2 = ${Math.max(0, room - random.below(4) + (this.slips() ? 4 : 0))}`);
    this.emit('r3 = 0');
    this.emit('r4 = 0');
    this.emit('r5 = 0');
    this.emit('call bpf_csum_diff');
    this.clobber();
    this.held[0] = NUMBER;
  }

  protected innerMap(): void {
    const none = this.label();
    this.key(4);
    this.emit('r1 = map[outer]');
    this.emit('call bpf_map_lookup_elem');
    if (!this.slips()) this.emit(`if r0 == 0 goto ${none}`);
    this.emit('r1 = r0');
    this.emit('r2 = r10');
    this.emit('r2 += -8');
    this.emit('call bpf_map_lookup_elem');
    if (!this.slips()) this.emit(`if r0 == 0 goto ${none}`);
    this.emit(`r3 = *(u64 *)(r0 +${this.slips() ? 1 : 0})`);
    this.emit(`${none}:`);
    this.clobber();
    this.held[0] = NONE;
  }

  /** A result that may be NULL, copied and spilled before it is checked by one of its names and used by another. */
  protected keptNull(): void {
    const random = this.random;
    const [map, key, size] = random.of(VALUES);
    this.key(key);
    this.emit(`r1 = map[${map}]`);
    this.emit('call bpf_map_lookup_elem');
    this.clobber();
    const copy = random.of([7, 8, 9]);
    this.emit(`r${copy} = r0`);
    this.emit('*(u64 *)(r10 -56) = r0');
    this.slots.delete(7);
    const none = this.label();
    this.emit(`if r${random.of([0, copy])} ${random.chance(90) ? '==' : '!='} 0 goto ${none}`);
    this.emit(
      random.of([`r3 = *(u8 *)(r0 +${size - 1})`, `r3 = *(u8 *)(r${copy} +0)`, 'r3 = *(u64 *)(r10 -56)\nr3 = *(u8 *)(r3 +0)']),
    );
    this.emit(`${none}:`);
    this.held[0] = this.held[3] = this.held[copy] = NONE;
  }

  protected tailCall(): void {
    const [ctx] = this.having('ctx').filter((reg) => reg >= 6);
    if (ctx === undefined || this.random.chance(60)) return;
    this.emit(`r1 = r${ctx}`);
    this.emit('r2 = map[prog_array]');
    this.emit(`r3 = ${this.random.below(6)}`);
    this.emit('call bpf_tail_call');
    this.clobber();
    this.held[0] = NONE;
    for (let reg = 6; reg < 10; reg++) if (this.held[reg]!.kind === 'packet') this.held[reg] = NONE;
  }

  protected socket(): void {
    const [ctx] = this.having('ctx').filter((reg) => reg >= 6);
    if (ctx === undefined) return;
    const none = this.label();
    const keep = this.random.of([7, 8, 9].filter((reg) => reg !== ctx));
    this.key(16);
    this.emit(`r1 = r${ctx}`);
    this.emit('r3 = 12');
    this.emit('r4 = -1');
    this.emit('r5 = 0');
    this.emit(`call ${this.random.of(['bpf_sk_lookup_tcp', 'bpf_sk_lookup_udp', 'bpf_skc_lookup_tcp'])}`);
    this.clobber();
    this.emit(`r${keep} = r0`);
    if (!this.slips()) this.emit(`if r${this.random.of([0, keep])} == 0 goto ${none}`);
    if (this.random.chance(50)) this.emit(`r3 = *(u32 *)(r${keep} +${this.random.of([4, 8, 4])})`);
    this.emit(`r1 = r${keep}`);
    if (!this.slips()) this.emit('call bpf_sk_release');
    this.emit(`${none}:`);
    this.clobber();
    this.held[0] = this.held[keep] = NONE;
  }

  protected absolute(): void {
    if (this.held[6]!.kind !== 'ctx' && !this.slips()) return;
    const reg = this.anyNumber();
    this.emit(this.random.chance(60) ? `r0 = *(u8 *)skb[${this.random.below(40)}]` : `r0 = *(u16 *)skb[r${reg} + 2]`);
    this.clobber();
    this.held[0] = NUMBER;
  }

  /** A packet pointer moved by a number, and checked again. */
  protected packetMove(): void {
    const random = this.random;
    const starts = this.having('packet').filter((reg) => reg >= 6);
    const [ctx] = this.having('ctx').filter((reg) => reg >= 6);
    const bounded = this.held.flatMap((held, reg) => (held.kind === 'number' && held.most !== undefined ? [reg] : []));
    if (starts.length === 0 || ctx === undefined || bounded.length === 0) return;
    const start = random.of(starts);
    const { end, type } = this.setting.packet!;
    const bytes = random.of([1, 2, 4, 8]);
    this.emit(`r${start} += r${random.of(bounded)}`);
    this.emit(`r4 = *(${type} *)(r${ctx} +${end})`);
    this.emit(`r5 = r${start}`);
    this.emit(`r5 += ${bytes}`);
    this.held[4] = this.held[5] = NONE;
    const inside = this.label();
    this.emit(`if r5 <= r4 goto ${inside}`);
    this.leave();
    this.emit(`${inside}:`);
    this.held[start] = { kind: 'packet', proven: bytes };
  }

  /** A function that is given a pointer into this frame or a map value, and a number. */
  protected pointerFunction(): void {
    const random = this.random;
    if (this.functions.length >= 3) return;
    const name = `p${this.functions.length}_${this.labels++}`;
    const values = this.held.flatMap((held, reg) => (held.kind === 'value' || held.kind === 'memory' ? [reg] : []));
    const byValue = values.length > 0 && random.chance(50);
    const size = byValue ? (this.held[random.of(values)] as { size: number }).size : 16;
    const source = values.find((reg) => byValue && (this.held[reg] as { size: number }).size === size);
    const off = random.below(Math.max(1, size - 7)) & ~(byValue ? 0 : 7);
    const writes = random.chance(50);
    const body = writes ? `*(u64 *)(r1 +${off}) = r2` : `r0 = *(u64 *)(r1 +${this.slips() ? off + 8 : off})`;
    const spread = random.chance(30) ? 'r2 &= 3\nr1 += r2\nr0 = *(u8 *)(r1 +0)\n' : '';
    if (size < 8) return;
    this.functions.push([
      this.described ? `.func ${name} long long` : `${name}:`,
      body,
      ...spread.split('\n').filter(Boolean),
      `r0 = ${random.odd()}`,
      'exit',
    ]);
    if (byValue && source !== undefined) this.emit(`r1 = r${source}`);
    else {
      this.key(16);
      this.emit('r1 = r10');
      this.emit('r1 += -16');
    }
    this.emit(`r2 = ${random.odd()}`);
    this.emit(`call @${name}`);
    this.clobber();
    this.held[0] = NUMBER;
  }

  /** bpf_loop or bpf_for_each_map_elem over a function of their own. */
  protected callback(): void {
    const random = this.random;
    const name = `c${this.functions.length}_${this.labels++}`;
    const inner = this.fresh() as CallingWriter;
    inner.inner = true;
    inner.labels = this.labels + 1000;
    const each = random.chance(40);
    const [map, key, size] = random.of(VALUES.filter(([, bytes]) => bytes === 4));
    inner.emit(`.func ${name} long long`);
    if (each) {
      inner.held[3] = { kind: 'value', size };
      if (random.chance(30)) inner.emit(`r5 = *(u32 *)(r2 +${this.slips() ? key : 0})`);
    } else inner.held[1] = NUMBER;
    const counts = random.chance(50);
    if (counts && !each) inner.emit('r5 = *(u64 *)(r2 +0)\nr5 += 1\n*(u64 *)(r2 +0) = r5');
    for (let count = 1 + random.below(3); count > 0; count--) inner.statement();
    inner.emit(`r0 = ${this.slips() ? random.odd() : random.of([0, 0, 1])}`);
    inner.emit('exit');
    this.labels = inner.labels + 1;
    this.functions.push(inner.lines);
    this.key(8);
    this.emit('r3 = r2');
    this.emit(each ? `r1 = map[${map}]` : `r1 = ${random.of([1, 3, 10, 100, 1 << 20])}`);
    this.emit(`r2 = subprog[@${name}]`);
    if (each && random.chance(50)) this.emit('r3 = 0');
    this.emit('r4 = 0');
    this.emit(`call ${each ? 'bpf_for_each_map_elem' : 'bpf_loop'}`);
    this.clobber();
    this.held[0] = NUMBER;
    if (counts && !each) {
      this.emit('r7 = *(u64 *)(r10 -8)');
      this.held[7] = NUMBER;
    }
  }
}

/** The program of a seed. */
export function randomProgram(seed: number): Program {
  const random = new Random(seed);
  const setting = random.of(SETTINGS);
  const slip = random.of([0, 20, 50, 100, 150]);
  const license = random.chance(95) ? {} : { license: 'MIT' };
  const writer = new CallingWriter(random, setting, slip);
  writer.described = random.chance(50);
  return { ...setting.program, ...license, text: writer.write() };
}
