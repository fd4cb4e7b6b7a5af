/**
 * What a running program may touch right now, object by object, and what it owes: a judge of its own, which knows nothing of what the
 * verifier found but each function's depth of stack.
 */

import type { BpfFuncProto } from '@libbpf-ts/verifier';
import { xdp_md, __sk_buff } from '@libbpf-ts/uapi';
import type { VmHelper, VmProgram, VmRuntime, Watch } from '@libbpf-ts/vm';
import type { Setting } from './random-writer.ts';

const FRAME = 512;
const SOCK_SIZE = 80;
const RAW_CTX = 32;
const BPF_F_RDONLY_PROG = 0x80;
const BPF_F_WRONLY_PROG = 0x100;
const MAPS_OF_MAPS = [12, 13];

/** mark, queue_mapping, priority, tc_index and cb, tc_classid, tstamp. */
const SKB_WRITABLE: readonly (readonly [number, number])[] = [
  [8, 16],
  [32, 36],
  [44, 68],
  [72, 76],
  [152, 160],
];

export interface WatchedMap {
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly flags: number;
}

/** The kernel's side, as far as the watch asks it. */
export interface Watched {
  readonly runtime: VmRuntime;
  mapAt(address: number): WatchedMap;
  /** The bytes lie in one allocation that is alive. */
  isAlive(address: number, size: number): boolean;
  proto(name: string): BpfFuncProto | undefined;
}

interface Grant {
  readonly what: string;
  readonly start: number;
  readonly size: number;
  readonly read: boolean;
  readonly write: boolean;
  /** Goes with what has this address: a record of a ring buffer, a dynptr. */
  readonly owner: number;
}

const MOST_TURNS = 1000;

/** Helpers that a program may call while it holds a spin lock. */
const UNDER_LOCK = ['bpf_spin_unlock'];

export class ObjectWatch implements Watch {
  readonly #kernel: Watched;
  readonly #grants: Grant[] = [];
  /** What must be given back, by address. */
  readonly #owed = new Map<number, string>();
  #setting: Pick<Setting, 'program' | 'packet'> = { program: { type: '' } };
  #ctx = 0;
  #lock = 0;
  /** Helpers at work, the innermost last, each with its arguments. */
  readonly #calls: { readonly name: string; readonly args: readonly number[] }[] = [];
  readonly violations: string[] = [];
  checked = 0;

  constructor(kernel: Watched) {
    this.#kernel = kernel;
  }

  /** Before a run. */
  prepare(setting: Pick<Setting, 'program' | 'packet'>): void {
    this.#setting = setting;
    this.#ctx = 0;
    this.#lock = 0;
    this.#grants.length = 0;
    this.#calls.length = 0;
    this.#owed.clear();
    this.violations.length = 0;
  }

  /** After a run that came to its end. */
  finish(): void {
    for (const what of this.#owed.values()) this.violations.push(`${what} is not given back`);
    if (this.#lock !== 0) this.violations.push('a spin lock is held at the end');
  }

  begins(program: VmProgram, subprogram: number, args: readonly number[]): void {
    const call = this.#calls.at(-1);
    if (!call) {
      if (subprogram === 0) this.#ctx = args[0]! >>> 0;
      for (const value of program.fixups.constants.values()) this.#grantConstant(Number(value & 0xffff_ffffn));
    } else if (call.name === 'bpf_for_each_map_elem') {
      const map = this.#kernel.mapAt(call.args[0]! >>> 0);
      this.#grant('key', args[1]!, map.keySize, { write: false });
      this.#grantValue(args[2]!, map);
    }
  }

  /** Values of an array that are named by address. */
  #grantConstant(address: number): void {
    try {
      this.#kernel.mapAt(address);
    } catch {
      this.violations.push('a constant that is no map: teach the watch about it');
    }
  }

  access(address: number, size: number, write: boolean, frame: number, program: VmProgram): boolean {
    this.checked++;
    const allowed = this.#allowed(address, size, write, frame, program);
    if (!allowed) this.violations.push(`${write ? 'writes' : 'reads'} ${size} bytes at ${this.#where(address)}`);
    return allowed;
  }

  #allowed(address: number, size: number, write: boolean, frame: number, program: VmProgram): boolean {
    if (!this.#kernel.isAlive(address, size)) return false;
    const { stackStart, stackEnd } = this.#kernel.runtime;
    if (address >= stackStart && address < stackEnd) return this.#inFrame(address, size, frame, program);
    return this.#inContext(address, size, write) || this.#inPacket(address, size, write) || this.#inGrant(address, size, write);
  }

  /** In one frame that is in use, no deeper than a function of the program goes. */
  #inFrame(address: number, size: number, frame: number, program: VmProgram): boolean {
    const { stackEnd } = this.#kernel.runtime;
    const top = stackEnd - FRAME * Math.floor((stackEnd - address - 1) / FRAME);
    const depth = Math.max(...program.subprograms.map(({ stackDepth }) => stackDepth ?? FRAME));
    return top >= frame && address + size <= top && address >= top - depth;
  }

  #inContext(address: number, size: number, write: boolean): boolean {
    const { type } = this.#setting.program;
    const whole = type === 'xdp' ? xdp_md.size : type === 'raw_tracepoint' ? RAW_CTX : __sk_buff.size;
    const at = address - this.#ctx;
    if (write && (type === 'xdp' || !SKB_WRITABLE.some(([start, end]) => at >= start && at + size <= end))) return false;
    return at >= 0 && at + size <= whole;
  }

  #inPacket(address: number, size: number, write: boolean): boolean {
    const { packet } = this.#setting;
    if (!packet || (write && !packet.write)) return false;
    const words = this.#kernel.runtime.arena.u32;
    const [data, end] = [words[(this.#ctx + packet.data) >> 2]!, words[(this.#ctx + packet.end) >> 2]!];
    return address >= data && address + size <= end;
  }

  #inGrant(address: number, size: number, write: boolean): boolean {
    return this.#grants.some(
      (grant) => address >= grant.start && address + size <= grant.start + grant.size && (write ? grant.write : grant.read),
    );
  }

  #where(address: number): string {
    const near = this.#grants.find(({ start, size }) => address >= start - 64 && address < start + size + 64);
    if (near) return `${near.what} + ${address - near.start}`;
    if (address >= this.#ctx - 64 && address < this.#ctx + 256) return `ctx + ${address - this.#ctx}`;
    const { stackStart, stackEnd } = this.#kernel.runtime;
    return address >= stackStart && address < stackEnd ? `stack − ${stackEnd - address}` : `0x${address.toString(16)}`;
  }

  #grant(what: string, start: number, size: number, may: Partial<Pick<Grant, 'read' | 'write' | 'owner'>> = {}): void {
    const grant = { what, start: start >>> 0, size, read: true, write: true, owner: 0, ...may };
    if (size > 0 && !this.#kernel.isAlive(grant.start, size))
      this.violations.push(`${what} of ${size} bytes is no live memory`);
    this.#grants.push(grant);
  }

  #grantValue(start: number, map: WatchedMap): void {
    if (MAPS_OF_MAPS.includes(map.type)) return;
    const { flags } = map;
    this.#grant('value', start, map.valueSize, {
      read: (flags & BPF_F_WRONLY_PROG) === 0,
      write: (flags & BPF_F_RDONLY_PROG) === 0,
    });
  }

  /** The helper with its arguments judged before, and what it gives noted after. */
  wrap(helper: VmHelper): VmHelper {
    const starts: number[] = [];
    for (let index = 0, at = 0; index < helper.args.length; index++) {
      starts.push(at);
      at += helper.args[index] === 'u64' ? 2 : 1;
    }
    return {
      ...helper,
      run: (...halves) => {
        const args = starts.map((start) => halves[start]!);
        // A million turns show no more than a thousand, and take a thousand times as long.
        if (helper.name === 'bpf_loop' && halves[0]! >>> 0 > MOST_TURNS) halves[0] = MOST_TURNS;
        this.#before(helper.name, args);
        this.#calls.push({ name: helper.name, args });
        const result = helper.run(...halves);
        this.#calls.pop();
        this.#after(helper.name, args, result >>> 0);
        return result;
      },
    };
  }

  #before(name: string, args: readonly number[]): void {
    if (this.#lock !== 0 && !UNDER_LOCK.includes(name)) this.violations.push(`${name} is called under a spin lock`);
    const proto = this.#kernel.proto(name);
    if (!proto) return;
    for (const [index, type] of proto.arg_types.entries()) this.#argument(name, proto, index, type, args);
    this.#release(name, args[0]! >>> 0);
  }

  #argument(name: string, proto: BpfFuncProto, index: number, type: string, args: readonly number[]): void {
    const address = args[index]! >>> 0;
    const may = { write: /UNINIT|MEM_WRITE/.test(type) };
    if (address === 0 && /OR_NULL|PTR_MAYBE_NULL/.test(type)) return;
    if (type.startsWith('ARG_PTR_TO_MAP_KEY')) this.#memory(name, address, this.#kernel.mapAt(args[0]! >>> 0).keySize, false);
    else if (/^ARG_PTR_TO_(UNINIT_)?MAP_VALUE/.test(type))
      this.#memory(name, address, this.#kernel.mapAt(args[0]! >>> 0).valueSize, may.write);
    else if (/^ARG_PTR_TO_(UNINIT_)?MEM/.test(type) && proto.arg_types[index + 1]?.startsWith('ARG_CONST_SIZE'))
      this.#memory(name, address, args[index + 1]! >>> 0, may.write);
    else if (/^ARG_PTR_TO_(FIXED_SIZE_)?MEM/.test(type) && proto.arg_size?.[index] !== undefined)
      this.#memory(name, address, proto.arg_size[index], may.write);
    else if (type.startsWith('ARG_PTR_TO_SPIN_LOCK')) this.#memory(name, address, 4, true);
    else if (type.startsWith('ARG_PTR_TO_CTX') && address !== this.#ctx) this.violations.push(`${name} is given no context`);
  }

  /** Memory that a helper is given. Whose frame is at work is not known here: any in use will do. */
  #memory(name: string, address: number, size: number, write: boolean): void {
    this.checked++;
    if (size === 0) return;
    const { stackStart, stackEnd } = this.#kernel.runtime;
    const inStack = address >= stackStart && address + size <= stackEnd;
    const sameFrame = Math.floor((stackEnd - address - 1) / FRAME) === Math.floor((stackEnd - address - size) / FRAME);
    const fits = inStack
      ? sameFrame
      : this.#kernel.isAlive(address, size) && (this.#inPacket(address, size, write) || this.#inGrant(address, size, write));
    if (!fits) this.violations.push(`${name} is given ${size} bytes at ${this.#where(address)}`);
  }

  #release(name: string, first: number): void {
    if (name === 'bpf_spin_unlock') {
      if (this.#lock !== first) this.violations.push('another lock is let go than is held');
      this.#lock = 0;
    }
    if (!/^bpf_(sk_release|ringbuf_(submit|discard)(_dynptr)?)$/.test(name)) return;
    if (!this.#owed.delete(first)) this.violations.push(`${name} of what was not taken`);
    for (let index = this.#grants.length - 1; index >= 0; index--)
      if (this.#grants[index]!.owner === first) this.#grants.splice(index, 1);
  }

  #after(name: string, args: readonly number[], result: number): void {
    const first = args[0]! >>> 0;
    if (name === 'bpf_spin_lock') this.#lock = first;
    else if (name === 'bpf_ringbuf_reserve_dynptr') this.#owed.set(args[3]! >>> 0, 'a reserved dynptr');
    else if (result === 0) return;
    else if (name === 'bpf_map_lookup_elem' || name === 'bpf_map_lookup_percpu_elem')
      this.#grantValue(result, this.#kernel.mapAt(first));
    else if (name === 'bpf_ringbuf_reserve') {
      this.#owed.set(result, 'a reserved record');
      this.#grant('record', result, args[1]! >>> 0, { owner: result });
    } else if (name === 'bpf_dynptr_data') this.#grant('slice', result, args[2]! >>> 0, { owner: first });
    else if (/^bpf_skc?_lookup_/.test(name)) {
      this.#owed.set(result, 'a socket');
      this.#grant('socket', result, SOCK_SIZE, { write: false, owner: result });
    }
  }
}
