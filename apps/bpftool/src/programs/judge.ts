/** What one kernel says of a raw program: its verdict, and the result of one test run. */

import type { Syscalls } from '@libbpf-ts/uapi';
import {
  BPF_MAP_CREATE,
  BPF_MAP_TYPE_NAMES,
  BPF_PROG_LOAD,
  BPF_PROG_TEST_RUN,
  BPF_PROG_TYPE_NAMES,
  cString,
  ERRNO,
  errnoName,
} from '@libbpf-ts/uapi';
import { isVmTrap } from '@libbpf-ts/vm';

export interface ProgramLine {
  readonly id: unknown;
  /** Number, or name as in `sched_cls`. */
  readonly prog_type: number | string;
  /** `struct bpf_insn[]` as hex. */
  readonly insns: string;
  readonly maps?: readonly MapLine[];
  readonly license?: string;
  readonly data_in?: string | null;
  readonly flags?: number;
}

interface MapLine {
  readonly type: number | string;
  readonly key_size: number;
  readonly value_size: number;
  readonly max_entries: number;
  readonly map_flags?: number;
}

export type RunResult = { readonly retval: number; readonly data_out: string } | { readonly error: string };

export interface Judgement {
  readonly verdict: 'accept' | 'reject';
  readonly errno: number;
  readonly log_tail: string;
  /** Absent where the program was refused. */
  readonly run?: RunResult;
}

const LOG_SIZE = 1 << 20;
const MOST_TRIES = 20;
/** Room for what a program makes of its packet. */
const OUT_SIZE = 1 << 16;

/** Creates the maps, loads, runs once, and closes everything again. `wantsLog`: says why, where the program is refused. */
export function judge(kernel: Syscalls, line: ProgramLine, wantsLog = true): Judgement {
  const fds: number[] = [];
  try {
    for (const map of line.maps ?? []) {
      const fd = createMap(kernel, map);
      if (fd < 0) return { verdict: 'reject', errno: -fd, log_tail: `map ${fds.length} can't be created` };
      fds.push(fd);
    }
    const fd = load(kernel, line, fds);
    if (fd < 0) return { verdict: 'reject', errno: -fd, log_tail: wantsLog ? logTail(kernel, line, fds) : '' };
    fds.push(fd);
    return { verdict: 'accept', errno: 0, log_tail: '', run: testRun(kernel, fd, line.data_in ?? null) };
  } finally {
    for (const fd of fds.reverse()) kernel.close(fd);
  }
}

/** BPF_PROG_LOAD, without a log unless a buffer for it is given: it costs more than the verdict. */
function load(kernel: Syscalls, line: ProgramLine, maps: readonly number[], log?: Uint8Array): number {
  const insns = bytesOf(line.insns);
  const attr = {
    prog_type: typeNumber(line.prog_type, BPF_PROG_TYPE_NAMES, 'BPF_PROG_TYPE_'),
    insn_cnt: insns.length / 8,
    insns,
    license: cString(line.license ?? 'GPL'),
    prog_flags: line.flags ?? 0,
    ...(log ? { log_level: 1, log_size: log.length, log_buf: log } : {}),
    ...(maps.length > 0 ? { fd_array: Int32Array.from(maps) } : {}),
  };
  // The kernel's verifier gives up with EAGAIN when a signal waits for the process; loaders ask again.
  let fd = kernel.bpf(BPF_PROG_LOAD, attr);
  for (let tries = 1; fd === -ERRNO.EAGAIN && tries < MOST_TRIES; tries++) fd = kernel.bpf(BPF_PROG_LOAD, attr);
  return fd;
}

/** Loads a program that was refused once more, to read why. A log that does not fit keeps its end, as the kernel's does. */
function logTail(kernel: Syscalls, line: ProgramLine, maps: readonly number[]): string {
  const log = new Uint8Array(LOG_SIZE);
  const fd = load(kernel, line, maps, log);
  if (fd >= 0) kernel.close(fd);
  return lastLine(log);
}

function createMap(kernel: Syscalls, { type, key_size, value_size, max_entries, map_flags = 0 }: MapLine): number {
  const map_type = typeNumber(type, BPF_MAP_TYPE_NAMES, 'BPF_MAP_TYPE_');
  return kernel.bpf(BPF_MAP_CREATE, { map_type, key_size, value_size, max_entries, map_flags });
}

/** A trap is a result too: the verifier let something through. */
function testRun(kernel: Syscalls, prog_fd: number, data: string | null): RunResult {
  const data_in = data === null ? undefined : bytesOf(data);
  const data_out = new Uint8Array(OUT_SIZE);
  const attr = {
    prog_fd,
    retval: 0,
    data_size_out: 0,
    ...(data_in ? { data_in, data_size_in: data_in.length, data_out, data_size_out: data_out.length } : {}),
  };
  try {
    const result = kernel.bpf(BPF_PROG_TEST_RUN, attr);
    if (result < 0) return { error: errnoName(-result) ?? `errno ${-result}` };
  } catch (error) {
    if (!isVmTrap(error)) throw error;
    return { error: (error as Error).message };
  }
  return { retval: attr.retval >>> 0, data_out: hexOf(data_out.subarray(0, data_in ? attr.data_size_out : 0)) };
}

function typeNumber(type: number | string, names: ReadonlyMap<number, string>, prefix: string): number {
  if (typeof type === 'number') return type;
  const wanted = `${prefix}${type.replace(prefix, '').toUpperCase()}`;
  for (const [number, name] of names) if (name === wanted) return number;
  throw new Error(`there is no ${prefix}* named '${type}'`);
}

/** The last line of a log that says something; the kernel ends each with a count of what it did. */
function lastLine(log: Uint8Array): string {
  const end = log.indexOf(0);
  const lines = new TextDecoder()
    .decode(log.subarray(0, end < 0 ? log.length : end))
    .trimEnd()
    .split('\n');
  const words = lines.filter((line) => line !== '' && !/^processed \d+ insns/.test(line));
  return words.at(-1) ?? '';
}

function bytesOf(hex: string): Uint8Array {
  if (!/^(?:[0-9a-f]{2})*$/i.test(hex)) throw new Error('hex digits in pairs are expected');
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

function hexOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
