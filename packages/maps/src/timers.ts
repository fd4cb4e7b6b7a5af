/** bpf_timer: timers in map values. Mirrors bpf_timer_* of kernel/bpf/helpers.c, on the kernel's clock. */

import {
  stateKey,
  VirtualClock,
  type BpfMap,
  type BpfProg,
  type Fork,
  type Holder,
  type Kernel,
  type StateKey,
} from '@libbpf-ts/kernel';
import { BPF_F_TIMER_ABS, BPF_F_TIMER_CPU_PIN, ERRNO } from '@libbpf-ts/uapi';

import { EBUSY, EINVAL, EPERM } from './errno.ts';

interface Timer {
  readonly map: BpfMap;
  /** Slot of the callback, and the program that it is of; 0 before bpf_timer_set_callback. */
  callback: number;
  prog: BpfProg | undefined;
  /** ns of the monotonic clock; undefined while it is not armed. */
  expires: bigint | undefined;
  running: boolean;
}

/** Timers by the address of their struct bpf_timer. */
type Timers = Map<number, Timer>;

const timersKey: StateKey<Timers> = stateKey<Timers>('maps.timers');
/** CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME. */
const CLOCKS: readonly number[] = [0, 1, 7];

function timersOf(kernel: Kernel): Timers {
  return kernel.state(timersKey, { create: () => new Map(), clone: cloneTimers });
}

function cloneTimers(timers: Timers, fork: Fork): Timers {
  return new Map(
    [...timers].map(([address, timer]) => [
      address,
      { ...timer, map: fork.twin(timer.map), prog: fork.twinOf(timer.prog), running: false },
    ]),
  );
}

/** `bpf_timer_init`. */
export function timerInit(map: BpfMap, timer: number, clock: number): number {
  if (!CLOCKS.includes(clock)) return -EINVAL;
  const timers = timersOf(map.kernel);
  if (timers.has(timer)) return -EBUSY;
  if (map.userRefs === 0) return -EPERM;
  timers.set(timer, { map, callback: 0, prog: undefined, expires: undefined, running: false });
  return 0;
}

/** `bpf_timer_set_callback`: the timer holds the callback's program. */
export function timerSetCallback(kernel: Kernel, address: number, callback: number): number {
  const timer = timersOf(kernel).get(address);
  if (!timer) return -EINVAL;
  if (timer.map.userRefs === 0) return -EPERM;
  const prog = programOf(kernel, callback);
  prog?.acquire(holderOf(timer, address));
  timer.prog?.release(holderOf(timer, address));
  timer.prog = prog;
  timer.callback = callback;
  return 0;
}

/** `bpf_timer_start`. */
export function timerStart(kernel: Kernel, address: number, ns: bigint, flags: number): number {
  if ((flags & ~(BPF_F_TIMER_ABS | BPF_F_TIMER_CPU_PIN)) !== 0) return -EINVAL;
  const timer = timersOf(kernel).get(address);
  if (!timer || timer.callback === 0) return -EINVAL;
  timer.expires = (flags & BPF_F_TIMER_ABS) !== 0 ? ns : kernel.clock.now() + ns;
  return 0;
}

/** `bpf_timer_cancel`: 1 where it was armed, 0 where not. */
export function timerCancel(kernel: Kernel, address: number): number {
  const timer = timersOf(kernel).get(address);
  if (!timer) return -EINVAL;
  if (timer.running) return -ERRNO.EDEADLK;
  const wasArmed = timer.expires !== undefined;
  timer.expires = undefined;
  dropProgram(timer, address);
  return Number(wasArmed);
}

/** Cancels the timers of a value that goes (`bpf_timer_cancel_and_free`). */
export function cancelTimersOf(kernel: Kernel, map: BpfMap, value: number): void {
  const timers = timersOf(kernel);
  for (const { type, offset } of map.record) {
    const timer = type === 'BPF_TIMER' ? timers.get(value + offset) : undefined;
    if (!timer) continue;
    timers.delete(value + offset);
    timer.expires = undefined;
    dropProgram(timer, value + offset);
  }
}

/** Runs every timer that is due, the earliest first. Returns how many ran. Called by whoever moves the clock. */
export function runTimers(kernel: Kernel): number {
  let count = 0;
  for (let due = earliest(kernel, kernel.clock.now()); due; due = earliest(kernel, kernel.clock.now())) {
    fire(kernel, due[0], due[1]);
    count++;
  }
  return count;
}

/** Moves a virtual clock forward by `ns`, and runs timers on the way, each at its own time. Returns how many ran. Throws on other clocks. */
export function advanceTime(kernel: Kernel, ns: bigint): number {
  const { clock } = kernel;
  if (!(clock instanceof VirtualClock)) throw new TypeError('only a virtual clock can be moved');
  const end = clock.now() + ns;
  let count = 0;
  for (let due = earliest(kernel, end); due; due = earliest(kernel, end)) {
    clock.moveTo(due[1].expires!);
    fire(kernel, due[0], due[1]);
    count++;
  }
  clock.moveTo(end);
  return count;
}

function earliest(kernel: Kernel, limit: bigint): [number, Timer] | undefined {
  let found: [number, Timer] | undefined;
  for (const entry of timersOf(kernel)) {
    const { expires } = entry[1];
    if (expires !== undefined && expires <= limit && (!found || expires < found[1].expires!)) found = entry;
  }
  return found;
}

/** The callback gets map, key and value. */
function fire(kernel: Kernel, address: number, timer: Timer): void {
  const { map } = timer;
  timer.expires = undefined;
  timer.running = true;
  const value = address - (map.record.find(({ type }) => type === 'BPF_TIMER')?.offset ?? 0);
  const index = kernel.arena.allocate(8);
  kernel.enterRun();
  try {
    kernel.runtime.callback(timer.callback, map.address, keyOf(map, value, index), value);
  } finally {
    timer.running = false;
    kernel.arena.free(index);
    kernel.leaveRun();
  }
}

/** Address of the key of a value: in its element, or for an array, whose keys are nowhere, its index written to `index`. */
function keyOf(map: BpfMap, value: number, index: number): number {
  const layout = map.data as { readonly keyOffset: number; readonly valueOffset: number } | undefined;
  if (layout) return value - layout.valueOffset + layout.keyOffset;
  map.kernel.arena.u32[index >> 2] = (value - map.header('data')) / map.header('stride');
  return index;
}

function programOf(kernel: Kernel, callback: number): BpfProg | undefined {
  for (const prog of kernel.progs) {
    const { subprograms } = prog.attributes.verified;
    if (subprograms.some((_, index) => prog.loaded.callbackSlot(index) === callback)) return prog;
  }
  return undefined;
}

function dropProgram(timer: Timer, address: number): void {
  timer.prog?.release(holderOf(timer, address));
  timer.prog = undefined;
  timer.callback = 0;
}

function holderOf({ map }: Timer, address: number): Holder {
  return { kind: 'map', id: map.id, key: `timer 0x${address.toString(16)}` };
}
