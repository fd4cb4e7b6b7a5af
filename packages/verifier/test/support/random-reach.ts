/**
 * Random programs that reach where `random-program.ts` does not: open-coded iterators, RCU and preemption sections, timers, dynptrs
 * read, written and sliced, helpers with memory, global functions of pointers, parts of spills, atomic loads and stores, sockets of the
 * context, metadata, more program types, states kept often, and programs of the less privileged.
 */

import type { Program } from './case.ts';
import { CallingWriter } from './random-program.ts';
import { Random } from './random.ts';
import { NONE, NUMBER, SETTINGS } from './random-writer.ts';
import type { Setting, Writer } from './random-writer.ts';

const BPF_F_STRICT_ALIGNMENT = 1;
const BPF_F_ANY_ALIGNMENT = 2;
const BPF_F_TEST_STATE_FREQ = 8;
const BPF_F_SLEEPABLE = 16;

const plain = { ringbuf: true, locks: true } as const;
const MORE: readonly Setting[] = [
  { program: { type: 'cgroup_sock_addr', attach: 10 }, fields: [0, 4, 24, 32], fieldType: 'u32', ...plain, result: [0, 1] },
  { program: { type: 'cgroup_sock', attach: 2 }, fields: [0, 4, 8, 12, 16], fieldType: 'u32', ...plain, result: [0, 1] },
  { program: { type: 'cgroup_sockopt', attach: 21 }, fields: [24, 28, 32, 36], fieldType: 'u32', ...plain, result: [0, 1] },
  { program: { type: 'cgroup_sysctl', attach: 18 }, fields: [0, 4], fieldType: 'u32', ...plain, result: [0, 1] },
  { program: { type: 'sock_ops' }, fields: [0, 4, 20, 24, 64], fieldType: 'u32', ...plain, result: [0, 1] },
  { program: { type: 'sk_lookup', attach: 36 }, fields: [8, 12, 16, 44], fieldType: 'u32', ...plain, result: [0, 1] },
  { program: { type: 'perf_event' }, fields: [0, 8, 168], fieldType: 'u64', ringbuf: true, locks: false, result: [0] },
  {
    program: { type: 'syscall', flags: BPF_F_SLEEPABLE },
    fields: [0, 8, 16],
    fieldType: 'u64',
    ringbuf: false,
    locks: false,
    result: [0, 1],
  },
  {
    program: { type: 'sk_msg' },
    fields: [16, 20, 24, 68],
    fieldType: 'u32',
    packet: { data: 0, end: 8, type: 'u64', write: true },
    ...plain,
    result: [0, 1],
  },
  {
    program: { type: 'flow_dissector' },
    fields: [16],
    fieldType: 'u32',
    packet: { data: 76, end: 80, type: 'u32', write: false },
    loadBytes: 'bpf_skb_load_bytes',
    ...plain,
    result: [0, 2],
  },
];
const NETWORK = new Set(['sched_cls', 'xdp', 'lwt_xmit', 'sk_skb', 'cgroup_skb']);
const TRACING = new Set(['kprobe', 'tracepoint', 'raw_tracepoint', 'perf_event']);
/** Where iterators, dynptrs and interrupt flags of this writer lie; below everything that the others use. */
const PLACE = { iter: 96, dynptr: 112, copy: 128, buffer: 144, flags: 152 } as const;

class ReachingWriter extends CallingWriter {
  protected override fresh(): Writer {
    const inner = new ReachingWriter(this.random, this.setting, this.slip);
    inner.described = this.described;
    return inner;
  }

  /** Half of the statements are of the new kinds. */
  protected override choices(): (() => void)[] {
    const mine: (() => void)[] = [
      () => this.section(),
      () => this.section(),
      () => this.atomicOrder(),
      () => this.partOfSpill(),
      () => this.partOfSpill(),
      () => this.text(),
      () => this.queue(),
      () => this.slices(),
      () => this.farJump(),
      () => this.output(),
      () => this.halves(),
    ];
    if (this.nesting < 2)
      mine.push(
        () => this.iterator(),
        () => this.iterator(),
      );
    if (this.setting.program.type === 'sched_cls' || this.setting.program.type === 'cgroup_skb')
      mine.push(() => this.contextSocket());
    if (['sched_cls', 'xdp'].includes(this.setting.program.type) && !this.inner) mine.push(() => this.metadata());
    if (TRACING.has(this.setting.program.type)) mine.push(() => this.probeRead());
    if (this.described && !this.inner && this.functions.length < 4)
      mine.push(
        () => this.timer(),
        () => this.globalFunction(),
        () => this.globalFunction(),
      );
    return this.random.chance(55) ? mine : super.choices();
  }

  #address(reg: number, below: number): void {
    this.emit(`r${reg} = r10`);
    this.emit(`r${reg} += ${-below}`);
  }

  #body(most: number): void {
    this.nesting += 2;
    for (let count = this.random.below(most + 1); count > 0; count--) this.statement();
    this.nesting -= 2;
  }

  /** What a loop's body may use: nothing that the body can change. */
  #forgetForLoop(): void {
    this.held = this.held.map((held, reg) => (reg < 6 || held.kind === 'number' ? NONE : held));
    this.slots = new Map();
  }

  protected iterator(): void {
    const { random } = this;
    const place = PLACE.iter + 8 * this.nesting * 8;
    const again = this.label();
    const done = this.label();
    const counter = random.of([7, 8, 9]);
    const counts = random.chance(50);
    if (counts) this.emit(`r${counter} = ${random.below(3)}`);
    this.#address(1, place);
    this.emit(`r2 = ${random.below(3)}`);
    this.emit(`r3 = ${random.of([0, 1, 5, 10, 1000, 0x7fffffff])}`);
    this.emit('call kfunc bpf_iter_num_new');
    this.clobber();
    this.#forgetForLoop();
    this.held[counter] = NONE;
    const kept = [...this.held];
    this.emit(`${again}:`);
    this.#address(1, place);
    if (!this.slips()) this.emit('call kfunc bpf_iter_num_next');
    this.clobber();
    if (!this.slips()) this.emit(`if r0 == 0 goto ${done}`);
    const start = this.lines.length;
    this.emit(`r${random.of([3, 4, 5])} = *(u32 *)(r0 +${this.slips() ? 4 : 0})`);
    if (random.chance(40)) {
      // The element as an index, checked or not.
      const [low, pointer] = [3, 4];
      this.emit(`r${low} = *(u32 *)(r0 +0)`);
      if (!this.slips()) this.emit(`if r${low} > 7 goto ${done}`);
      this.#address(pointer, 64);
      this.emit(`r${pointer} += r${low}`);
      this.emit(`*(u8 *)(r${pointer} +${random.below(8)}) = 1`);
    }
    this.held[0] = NONE;
    this.held[3] = this.held[4] = this.held[5] = NONE;
    this.#body(2);
    const touched = new RegExp(`^[rw][6-9] |^r[6-9] =`);
    if (this.lines.slice(start).some((line) => touched.test(line)) && !random.chance(10)) this.lines.splice(start);
    if (counts) this.emit(random.of([`r${counter} += 1`, `r${counter} = 1`, `r${counter} &= 7`]));
    if (random.chance(20)) this.emit(`if r${counter} == ${random.below(4)} goto ${done}`);
    this.emit(`goto ${again}`);
    this.emit(`${done}:`);
    this.#address(1, place);
    if (!this.slips()) this.emit('call kfunc bpf_iter_num_destroy');
    this.clobber();
    this.held = this.held.map((held, reg) => (JSON.stringify(held) === JSON.stringify(kept[reg]) ? held : NONE));
    this.held[0] = NONE;
    if (counts) this.held[counter] = NUMBER;
  }

  /** Between a lock of RCU, preemption or interrupts and its release. */
  protected section(): void {
    const { random } = this;
    const [begin, end, takes] = random.of([
      ['bpf_rcu_read_lock', 'bpf_rcu_read_unlock', false],
      ['bpf_preempt_disable', 'bpf_preempt_enable', false],
      ['bpf_local_irq_save', 'bpf_local_irq_restore', true],
    ] as const);
    const place = PLACE.flags + 8 * this.nesting;
    if (this.nesting > 3) return;
    if (takes) this.#address(1, place);
    this.emit(`call kfunc ${begin}`);
    this.clobber();
    this.held[0] = NONE;
    const held = [...this.held];
    this.#body(2);
    this.held = this.held.map((now, reg) =>
      JSON.stringify(now) === JSON.stringify(held[reg]) ? now : now.kind === 'number' ? NUMBER : now,
    );
    if (takes) this.#address(1, this.slips() ? place + 8 : place);
    if (!this.slips()) this.emit(`call kfunc ${end}`);
    this.clobber();
    this.held[0] = NONE;
  }

  protected atomicOrder(): void {
    const { random } = this;
    const type = random.of(['u8', 'u16', 'u32', 'u64']);
    const size = { u8: 1, u16: 2, u32: 4, u64: 8 }[type]!;
    const pointers = this.held.flatMap((held, reg) =>
      (held.kind === 'value' || held.kind === 'memory') && held.size >= size ? [reg] : [],
    );
    const slot = 1 + random.below(8);
    const base = pointers.length > 0 && random.chance(50) ? random.of(pointers) : 10;
    const off = base === 10 ? -8 * slot : this.slips() ? 1 : 0;
    if (random.chance(50)) {
      if (base === 10 && this.slots.get(slot)?.kind !== 'number') {
        this.emit(`*(u64 *)(r10 ${off}) = ${random.odd()}`);
        this.slots.set(slot, NUMBER);
      }
      const reg = this.target();
      this.emit(`r${reg} = load_acquire((${type} *)(r${base} ${off < 0 ? off : `+${off}`}))`);
      this.held[reg] = NUMBER;
      return;
    }
    const from = this.slips() ? random.below(10) : this.anyNumber();
    this.emit(`store_release((${type} *)(r${base} ${off < 0 ? off : `+${off}`}), r${from})`);
    if (base === 10 && this.slots.get(slot)?.kind !== 'number') this.slots.delete(slot);
  }

  /** A spill, overwritten in part or read in part. */
  protected partOfSpill(): void {
    const { random } = this;
    const reg = random.chance(85)
      ? this.anyNumber()
      : (random.of(this.having('value', 'ctx', 'packet', 'memory')) ?? this.anyNumber());
    const slot = 1 + random.below(8);
    const at = -8 * slot;
    const width = random.of(['u64', 'u64', 'u32', 'u32', 'u16', 'u8']);
    if (this.held[reg]!.kind !== 'number' && width !== 'u64' && !this.slips()) return;
    if (random.chance(40)) this.emit(`*(u64 *)(r10 ${at}) = ${random.of([0, 0, 1, -1])}`);
    const low = random.chance(70) || width === 'u64' ? 0 : 4;
    this.emit(`*(${width} *)(r10 ${at + low}) = r${reg}`);
    this.slots.delete(slot);
    if (random.chance(30))
      this.emit(`*(${random.of(['u8', 'u16', 'u32'])} *)(r10 ${at + random.of([0, 4])}) = ${random.odd()}`);
    const read = random.of([width, width, 'u64', 'u32', 'u16', 'u8', 's8', 's16', 's32']);
    const to = this.target();
    this.emit(`r${to} = *(${read} *)(r10 ${at + (random.chance(80) || read === 'u64' ? low : 4 - low)})`);
    this.held[to] = NONE;
    if (random.chance(50)) {
      const inside = this.label();
      const most = random.of([7, 15, 40]);
      this.emit(`if ${random.of(['r', 'w'])}${to} <= ${most} goto ${inside}`);
      this.leave();
      this.emit(`${inside}:`);
      this.held[to] = this.slips() || random.chance(70) ? { kind: 'number', most } : NUMBER;
      if (random.chance(40)) {
        // What is known of the copy may be known of the spill and of its source.
        const again = random.of([2, 3, 4, 5].filter((other) => other !== to));
        this.emit(`r${again} = *(${width} *)(r10 ${at + low})`);
        this.held[again] = NUMBER;
        this.variableStack();
      }
    }
  }

  /** Helpers that read or write memory which the program gives with a size. */
  protected text(): void {
    const { random } = this;
    const size = random.of([0, 1, 4, 8, 16, this.slips() ? 200 : 8]);
    for (let word = 0; word < 2; word++) this.emit(`*(u64 *)(r10 ${-PLACE.buffer + 8 * word}) = ${random.odd()}`);
    const bounded = this.held.flatMap((held, reg) =>
      reg >= 6 && held.kind === 'number' && held.most !== undefined && held.most <= 16 ? [reg] : [],
    );
    const length = bounded.length > 0 && random.chance(50) ? `r${random.of(bounded)}` : `${size}`;
    const helper = random.of([
      'bpf_strtol',
      'bpf_strtoul',
      'bpf_strncmp',
      'bpf_get_current_comm',
      'bpf_trace_printk',
      'bpf_snprintf',
    ]);
    switch (helper) {
      case 'bpf_strtol':
      case 'bpf_strtoul':
        this.#address(1, PLACE.buffer);
        this.emit(`r2 = ${length}`);
        this.emit(`r3 = ${random.of([0, 10, 16])}`);
        this.#address(4, this.slips() ? PLACE.copy - 4 : PLACE.copy);
        break;
      case 'bpf_strncmp':
        this.#address(1, PLACE.buffer);
        this.emit(`r2 = ${length}`);
        this.emit(`r3 = map[${this.slips() ? 'readonly' : 'frozen'}][0]+${random.of([8, 8, 0, 12])}`);
        break;
      case 'bpf_get_current_comm':
        this.#address(1, PLACE.buffer);
        this.emit(`r2 = ${length}`);
        break;
      case 'bpf_trace_printk':
        this.#address(1, PLACE.buffer);
        this.emit(`r2 = ${length}`);
        this.emit('r3 = 0\nr4 = 0\nr5 = 0');
        break;
      default:
        this.#address(1, PLACE.buffer);
        this.emit(`r2 = ${length}`);
        this.emit('r3 = map[frozen][0]+8');
        this.#address(4, PLACE.copy);
        this.emit('*(u64 *)(r10 -128) = 0');
        this.emit(`r5 = ${random.of([0, 0, 8, 3])}`);
    }
    this.emit(`call ${helper}`);
    this.clobber();
    this.held[0] = NUMBER;
  }

  protected queue(): void {
    const { random } = this;
    this.emit(`*(u64 *)(r10 ${-PLACE.copy}) = ${random.odd()}`);
    this.#address(2, this.slips() ? 4 : PLACE.copy);
    this.emit(`r1 = map[${random.of(['queue', 'stack', 'bloom', ...(this.slips() ? ['hash'] : [])])}]`);
    const helper = random.of(['bpf_map_push_elem', 'bpf_map_pop_elem', 'bpf_map_peek_elem']);
    if (helper === 'bpf_map_push_elem') this.emit('r3 = 0');
    this.emit(`call ${helper}`);
    this.clobber();
    this.held[0] = NUMBER;
  }

  /** A dynptr over a value or the packet: read, written, sliced, cloned. */
  protected slices(): void {
    const { random } = this;
    const { type } = this.setting.program;
    const [ctx] = this.having('ctx').filter((reg) => reg >= 6);
    const values = this.having('value').filter((reg) => reg >= 6);
    const place = PLACE.dynptr;
    if (ctx !== undefined && (NETWORK.has(type) || type === 'socket_filter') && random.chance(60)) {
      this.emit(`r1 = r${ctx}`);
      this.emit('r2 = 0');
      this.#address(3, place);
      this.emit(`call kfunc ${type === 'xdp' ? 'bpf_dynptr_from_xdp' : 'bpf_dynptr_from_skb'}`);
    } else if (values.length > 0) {
      const reg = random.of(values);
      this.emit(`r1 = r${reg}`);
      this.emit(`r2 = ${(this.held[reg] as { size: number }).size}`);
      this.emit('r3 = 0');
      this.#address(4, place);
      this.emit('call bpf_dynptr_from_mem');
    } else return;
    this.clobber();
    this.held[0] = NUMBER;
    for (let count = 1 + random.below(3); count > 0; count--) this.#useDynptr(this.slips() ? place - 8 : place);
    if (random.chance(30)) this.emit(`*(u64 *)(r10 ${-place}) = 0`);
  }

  #useDynptr(place: number): void {
    const { random } = this;
    this.emit(`*(u64 *)(r10 ${-PLACE.buffer}) = 1`);
    this.emit(`*(u64 *)(r10 ${-PLACE.buffer + 8}) = 2`);
    const length = random.of([1, 4, 8, 16, this.slips() ? 160 : 8]);
    switch (random.below(6)) {
      case 0:
        this.#address(1, PLACE.buffer);
        this.emit(`r2 = ${length}`);
        this.#address(3, place);
        this.emit(`r4 = ${random.below(3)}\nr5 = 0\ncall bpf_dynptr_read`);
        break;
      case 1:
        this.#address(1, place);
        this.emit('r2 = 0');
        this.#address(3, PLACE.buffer);
        this.emit(`r4 = ${length}\nr5 = 0\ncall bpf_dynptr_write`);
        break;
      case 2: {
        const none = this.label();
        const writable = random.chance(40);
        this.#address(1, place);
        this.emit(`r2 = ${random.below(3)}`);
        this.#address(3, PLACE.buffer);
        this.emit(`r4 = ${length}`);
        this.emit(`call kfunc ${writable ? 'bpf_dynptr_slice_rdwr' : 'bpf_dynptr_slice'}`);
        this.clobber();
        if (!this.slips()) this.emit(`if r0 == 0 goto ${none}`);
        const off = random.below(this.slips() ? length + 4 : length);
        this.emit(writable || this.slips() ? `*(u8 *)(r0 +${off}) = 1` : `r3 = *(u8 *)(r0 +${off})`);
        this.emit(`${none}:`);
        break;
      }
      case 3:
        this.#address(1, place);
        this.emit(`call kfunc ${random.of(['bpf_dynptr_size', 'bpf_dynptr_is_null', 'bpf_dynptr_is_rdonly'])}`);
        break;
      case 4:
        this.#address(1, place);
        this.emit(`r2 = 1\nr3 = ${random.of([4, 8])}\ncall kfunc bpf_dynptr_adjust`);
        break;
      default:
        this.#address(1, place);
        this.#address(2, PLACE.copy);
        this.emit('call kfunc bpf_dynptr_clone');
        if (random.chance(50)) this.emit(`*(u64 *)(r10 ${-PLACE.copy}) = 0`);
    }
    this.clobber();
    this.held[0] = NONE;
  }

  protected farJump(): void {
    const over = this.label();
    const reg = this.anyNumber();
    this.emit(`if w${reg} s> ${this.random.odd()} goto ${over}`);
    this.emit(`gotol pc+${this.slips() ? 3 : 1}`);
    this.emit(`${over}:`);
    this.emit(`w${reg} ^= 1`);
    this.held[reg] = NUMBER;
  }

  protected output(): void {
    const { random } = this;
    const values = this.held.flatMap((held, reg) =>
      reg >= 6 && (held.kind === 'value' || held.kind === 'memory') ? [reg] : [],
    );
    const [ctx] = this.having('ctx').filter((reg) => reg >= 6);
    const size = random.of([1, 8, 16]);
    const source = (reg: number): void => {
      const from = values.length > 0 && random.chance(60) ? random.of(values) : undefined;
      if (from === undefined) {
        this.emit(`*(u64 *)(r10 ${-PLACE.buffer}) = 1`);
        this.emit(`*(u64 *)(r10 ${-PLACE.buffer + 8}) = 1`);
        this.#address(reg, PLACE.buffer);
      } else this.emit(`r${reg} = r${from}`);
    };
    if (ctx !== undefined && random.chance(50)) {
      source(4);
      this.emit(`r1 = r${ctx}\nr2 = map[events]\nr3 = ${random.of([0, -1])}\nr5 = ${size}\ncall bpf_perf_event_output`);
    } else {
      source(2);
      this.emit(`r1 = map[ringbuf]\nr3 = ${size}\nr4 = 0\ncall bpf_ringbuf_output`);
    }
    this.clobber();
    this.held[0] = NUMBER;
  }

  /** 32-bit halves, compared and put together, then used as an index. */
  protected halves(): void {
    const { random } = this;
    const reg = this.anyNumber();
    const other = random.of([2, 3, 4, 5].filter((each) => each !== reg));
    this.emit(`w${other} = w${reg}`);
    if (random.chance(50)) this.emit(`r${other} ${random.of(['<<=', '>>=', 's>>='])} ${random.of([1, 31, 32, 33, 63])}`);
    if (random.chance(50)) this.emit(`r${other} ${random.of(['>>=', 's>>='])} ${random.of([1, 31, 32])}`);
    if (random.chance(40))
      this.emit(`${random.of(['r', 'w'])}${other} ${random.of(['+=', '-=', '*=', '^=', '|='])} ${random.odd()}`);
    const inside = this.label();
    const most = random.of([7, 15, 40]);
    const test = random.of(['<=', 's<=', '<', 's<', '==', '&']);
    this.emit(`if ${random.of(['r', 'w'])}${other} ${test} ${most} goto ${inside}`);
    this.leave();
    this.emit(`${inside}:`);
    if (test.startsWith('s') && random.chance(80)) {
      const above = this.label();
      this.emit(`if ${random.of(['r', 'w'])}${other} s>= 0 goto ${above}`);
      this.leave();
      this.emit(`${above}:`);
    }
    this.held[other] = test === '&' ? NUMBER : { kind: 'number', most };
    this.variableStack();
  }

  /** The socket of the context, tested or not, and what is made of it. */
  protected contextSocket(): void {
    const { random } = this;
    const [ctx] = this.having('ctx').filter((reg) => reg >= 6);
    if (ctx === undefined) return;
    const none = this.label();
    this.emit(`r1 = *(u64 *)(r${ctx} +168)`);
    if (!this.slips()) this.emit(`if r1 == 0 goto ${none}`);
    switch (random.below(4)) {
      case 0:
        this.emit(`r3 = *(${random.of(['u32', 'u32', 'u16', 'u8'])} *)(r1 +${random.of([0, 4, 8, 12, 16, 44, 76])})`);
        break;
      case 1:
        this.emit(`call ${random.of(['bpf_sk_fullsock', 'bpf_tcp_sock', 'bpf_get_listener_sock'])}`);
        if (!this.slips()) this.emit(`if r0 == 0 goto ${none}`);
        this.emit(`r3 = *(u32 *)(r0 +${random.of([0, 4, 8, 20, 40, 100])})`);
        break;
      case 2:
        this.emit('call bpf_sk_fullsock');
        if (!this.slips()) this.emit(`if r0 == 0 goto ${none}`);
        this.emit(`r2 = r0\nr1 = map[sk_storage]\nr3 = 0\nr4 = ${random.below(2)}\ncall bpf_sk_storage_get`);
        if (!this.slips()) this.emit(`if r0 == 0 goto ${none}`);
        this.emit(`*(u32 *)(r0 +${this.slips() ? 6 : 4}) = 1`);
        break;
      default:
        this.emit(`call bpf_skc_to_${random.of(['tcp', 'tcp6', 'udp6', 'unix'])}_sock`);
        if (!this.slips()) this.emit(`if r0 == 0 goto ${none}`);
        this.emit(`r3 = *(u32 *)(r0 +${8 * random.below(20)})`);
    }
    this.emit(`${none}:`);
    this.clobber();
    this.held[0] = NONE;
  }

  protected metadata(): void {
    const { random } = this;
    const [ctx] = this.having('ctx').filter((reg) => reg >= 6);
    if (ctx === undefined) return;
    const [meta, data] = this.setting.program.type === 'xdp' ? [8, 0] : [140, 76];
    const bytes = random.of([1, 4, 8]);
    const none = this.label();
    this.emit(`r2 = *(u32 *)(r${ctx} +${meta})\nr3 = *(u32 *)(r${ctx} +${data})\nr4 = r2\nr4 += ${bytes}`);
    this.emit(`if r4 ${random.of(['>', '>', '>='])} r3 goto ${none}`);
    this.emit(`r5 = *(u8 *)(r2 +${random.below(this.slips() ? bytes + 2 : bytes)})`);
    if (random.chance(40)) this.emit(`*(u8 *)(r2 +0) = ${random.below(9)}`);
    this.emit(`${none}:`);
    this.clobber();
  }

  protected probeRead(): void {
    const { random } = this;
    const size = random.of([1, 8, 16, this.slips() ? 150 : 4]);
    this.#address(1, PLACE.buffer);
    this.emit(`r2 = ${size}\nr3 = ${random.odd()}`);
    this.emit(`call ${random.of(['bpf_probe_read_kernel', 'bpf_probe_read_user', 'bpf_probe_read_kernel_str'])}`);
    this.clobber();
    this.held[0] = NUMBER;
  }

  protected timer(): void {
    const { random } = this;
    const name = `t${this.functions.length}_${this.labels++}`;
    const inner = this.fresh() as ReachingWriter;
    inner.inner = true;
    inner.labels = this.labels + 1000;
    inner.emit(`.func ${name} long long`);
    inner.held[3] = { kind: 'value', size: 24 };
    if (this.slips()) inner.statement();
    inner.emit(`r0 = ${this.slips() ? 1 : 0}`);
    inner.emit('exit');
    this.labels = inner.labels + 1;
    this.functions.push(inner.lines);
    const none = this.label();
    this.key(4);
    this.emit('r1 = map[timer]\ncall bpf_map_lookup_elem');
    if (!this.slips()) this.emit(`if r0 == 0 goto ${none}`);
    this.emit(`r9 = r0\nr1 = r0${this.slips() ? '\nr1 += 8' : ''}\nr2 = map[${this.slips() ? 'array' : 'timer'}]`);
    this.emit(`r3 = ${random.of([0, 1, 7])}\ncall bpf_timer_init`);
    this.emit(`r1 = r9\nr2 = subprog[@${name}]\ncall bpf_timer_set_callback`);
    this.emit(`r1 = r9\nr2 = 1000\nr3 = 0\ncall bpf_timer_start`);
    if (random.chance(30)) this.emit('r1 = r9\ncall bpf_timer_cancel');
    this.emit(`${none}:`);
    this.clobber();
    this.held[0] = this.held[9] = NONE;
  }

  /** A global function: judged by its types alone, and called with what fits them, or not. */
  protected globalFunction(): void {
    const { random } = this;
    const name = `g${this.functions.length}_${this.labels++}`;
    const kind = random.of(['int', 'long', 'int*', 'long*', 'ctx']);
    const inner = this.fresh() as ReachingWriter;
    inner.inner = true;
    inner.labels = this.labels + 1000;
    inner.emit(`.global ${name} ${kind} int`);
    const size = { 'int*': 4, 'long*': 8 }[kind];
    if (size) {
      const some = inner.label();
      if (!this.slips()) inner.emit(`if r1 != 0 goto ${some}\nr0 = 0\nexit\n${some}:`);
      inner.emit(
        random.chance(50) ? `r3 = *(u32 *)(r1 +${this.slips() ? 4 : 0})` : `*(u32 *)(r1 +${this.slips() ? size : 0}) = 1`,
      );
      inner.emit('r7 = r1');
      inner.held[7] = { kind: 'memory', size };
    } else if (kind === 'ctx') {
      inner.emit('r6 = r1');
      inner.held[6] = { kind: 'ctx' };
    } else inner.held[1] = NUMBER;
    if (random.chance(50)) inner.emit('r8 = r2\nr8 &= 7');
    for (let count = random.below(3); count > 0; count--) inner.statement();
    if (!this.slips()) inner.emit(`r0 = ${random.odd()}`);
    inner.emit('exit');
    this.labels = inner.labels + 1;
    this.functions.push(inner.lines);
    const [ctx] = this.having('ctx').filter((reg) => reg >= 6);
    const values = this.having('value', 'memory').filter((reg) => reg >= 6);
    if (size) {
      if (values.length > 0 && random.chance(50)) this.emit(`r1 = r${random.of(values)}`);
      else if (random.chance(20)) this.emit('r1 = 0');
      else {
        this.emit(`*(u64 *)(r10 ${-PLACE.copy}) = 1`);
        this.#address(1, this.slips() ? 2 : PLACE.copy);
      }
    } else if (kind === 'ctx') {
      if (ctx === undefined) return void this.functions.pop();
      this.emit(`r1 = r${ctx}`);
    } else this.emit(`r1 = ${random.odd()}`);
    this.emit(`r2 = ${random.odd()}`);
    this.emit(`call @${name}`);
    this.clobber();
    this.held[0] = NUMBER;
    if (this.slips()) this.emit('if r0 > 7 goto pc+0');
  }
}

/** The program of a seed. Other programs than `randomProgram` gives for it. */
export function reachingProgram(seed: number): Program {
  const random = new Random(seed + 77_000_000);
  const setting = random.of([...SETTINGS, ...SETTINGS, ...MORE]);
  const slip = random.of([0, 10, 20, 50, 100]);
  const license = random.chance(97) ? {} : { license: 'MIT' };
  const flags =
    (setting.program.flags ?? 0) |
    (random.chance(30) ? BPF_F_TEST_STATE_FREQ : 0) |
    (random.chance(5) ? random.of([BPF_F_STRICT_ALIGNMENT, BPF_F_ANY_ALIGNMENT]) : 0);
  const writer = new ReachingWriter(random, setting, slip);
  writer.described = random.chance(60);
  return { ...setting.program, ...license, flags, text: writer.write() };
}

/** The same, loaded with CAP_BPF and CAP_NET_ADMIN alone: addresses must not leak, speculation is followed. */
export function limitedProgram(seed: number): Program {
  const of = seed % 2 === 0 ? SETTINGS : SETTINGS.slice(0, 4);
  const random = new Random(seed + 99_000_000);
  const setting = random.of(of.filter(({ program }) => !TRACING.has(program.type)));
  const writer = random.chance(50)
    ? new ReachingWriter(random, setting, random.of([0, 10, 20]))
    : new CallingWriter(random, setting, random.of([0, 10, 20, 50]));
  writer.described = random.chance(40);
  return { ...setting.program, caps: 'BPF+NET_ADMIN', text: writer.write() };
}
