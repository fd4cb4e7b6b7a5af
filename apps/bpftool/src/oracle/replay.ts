/** Executes a trace and compares every answer and every state with what was recorded. */

import {
  BPF_F_AFTER,
  BPF_F_BEFORE,
  BPF_F_ID,
  BPF_F_LINK,
  BPF_F_REPLACE,
  bpf_link_info,
  bpf_map_info,
  bpf_prog_info,
  BPF_LINK_CREATE,
  BPF_LINK_DETACH,
  BPF_LINK_GET_FD_BY_ID,
  BPF_LINK_TYPE_TCX,
  BPF_LINK_UPDATE,
  BPF_MAP_CREATE,
  BPF_MAP_TYPE_ARRAY,
  BPF_OBJ_GET_INFO_BY_FD,
  BPF_PROG_ATTACH,
  BPF_PROG_DETACH,
  BPF_PROG_GET_FD_BY_ID,
  BPF_PROG_LOAD,
  BPF_PROG_QUERY,
  BPF_PROG_TYPE_SCHED_CLS,
  BPF_PROG_TYPE_XDP,
  BPF_TCX_EGRESS,
  BPF_TCX_INGRESS,
  BPF_XDP,
  cString,
  errnoName,
  type Syscalls,
} from '@libbpf-ts/uapi';

import { Names } from './names.ts';
import { PinOps } from './replay-pins.ts';
import { TcOps } from './replay-tc.ts';
import type { Answer, Trace, TraceOp } from './trace.ts';
import type { World } from './world.ts';

export interface Difference {
  readonly op: number;
  readonly line: TraceOp;
  readonly field: 'res' | 'out' | 'state';
  readonly expected: unknown;
  readonly actual: unknown;
}

const FLAGS: Readonly<Record<string, number>> = {
  REPLACE: BPF_F_REPLACE,
  BEFORE: BPF_F_BEFORE,
  AFTER: BPF_F_AFTER,
  ID: BPF_F_ID,
  LINK: BPF_F_LINK,
};
const LINK_TYPES: Readonly<Record<number, string>> = { 6: 'XDP', 11: 'TCX' };
/** More than a hook ever holds. */
const QUERY_ROOM = 128;

/** Runs all operations; every line that differs is reported once, by its first differing field. */
export function replay(trace: Trace, world: World): Difference[] {
  const run = new Replay(world, trace);
  run.prepare();
  const differences: Difference[] = [];
  trace.ops.forEach((line, op) => {
    const answer = run.execute(line);
    const actual = { res: answer.res, out: answer.out, state: run.state() };
    for (const field of ['res', 'out', 'state'] as const) {
      if (canonical(line[field]) === canonical(actual[field])) continue;
      differences.push({ op, line, field, expected: line[field], actual: actual[field] });
      break;
    }
  });
  return differences;
}

/** JSON with its keys in order. */
export function canonical(value: unknown): string {
  const sort = (each: unknown): unknown => {
    if (Array.isArray(each)) return each.map(sort);
    if (each === null || typeof each !== 'object') return each;
    return Object.fromEntries(
      Object.entries(each)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, inner]) => [key, sort(inner)]),
    );
  };
  return JSON.stringify(sort(value)) ?? 'undefined';
}

/** Executes operations one by one on a world. */
export class Replay {
  readonly #world: World;
  readonly #trace: Trace;
  readonly #names: Names;
  readonly #tc: TcOps;
  readonly #pins: PinOps;
  #current = 'd0';
  #links = 0;
  #progs = 0;

  constructor(world: World, trace: Trace) {
    this.#world = world;
    this.#trace = trace;
    this.#names = new Names(world);
    this.#tc = new TcOps(this.#names);
    this.#pins = new PinOps(this.#names, world);
  }

  /** The set-up that the header asks for. */
  prepare(): void {
    const { pool, fillers } = this.#trace.header.preamble;
    for (const name of ['o0', 'd0']) this.#names.addDevice(name);
    for (const name of pool) this.#load(name, BPF_PROG_TYPE_SCHED_CLS);
    this.#progs = pool.length;
    for (let filler = 0; filler < fillers; filler++) this.#load(`f${filler}`, BPF_PROG_TYPE_SCHED_CLS);
    this.#load('px', BPF_PROG_TYPE_XDP);
    this.#load('pf', BPF_PROG_TYPE_SCHED_CLS);
    const map = this.#must(
      'map',
      this.#names.sys.bpf(BPF_MAP_CREATE, { map_type: BPF_MAP_TYPE_ARRAY, key_size: 4, value_size: 4, max_entries: 1 }),
    );
    const bytes = new Uint8Array(bpf_map_info.size);
    this.#must('map info', this.#names.sys.bpf(BPF_OBJ_GET_INFO_BY_FD, { bpf_fd: map, info: bytes, info_len: bytes.length }));
    this.#names.add('map', 'map', bpf_map_info.read(new DataView(bytes.buffer)).id, map);
    this.#link('lf', 'pf', BPF_TCX_INGRESS);
    this.#link('lx', 'px', BPF_XDP);
  }

  execute(op: TraceOp): Answer {
    const handler = this.#handlers[op.op] ?? this.#tc.handlers[op.op] ?? this.#pins.handlers[op.op];
    if (!handler) return { res: `unknown operation ${op.op}` };
    return this.#names.as(op['by'], () => handler(op));
  }

  /** Both hooks of the current device, and all links with an open fd; the qdiscs and filters too, where the trace is about them. */
  state(): unknown {
    const links: Record<string, unknown> = {};
    for (const { name, sys, fd } of this.#names.openLinks()) {
      const info = this.#linkInfo(fd, sys);
      links[name] = [this.#names.progName(info.prog_id), this.#names.deviceName(info.ifindex)];
    }
    const hooks = { ingress: this.#hookState(BPF_TCX_INGRESS), egress: this.#hookState(BPF_TCX_EGRESS), links };
    return this.#trace.header.preamble.tc === true ? { ...hooks, tc: this.#tc.state(this.#current) } : hooks;
  }

  #load(name: string, prog_type: number): void {
    const insns = Uint8Array.from([
      0xb7,
      0,
      0,
      0,
      ...(prog_type === BPF_PROG_TYPE_XDP ? [2, 0, 0, 0] : [255, 255, 255, 255]),
      0x95,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
    ]);
    const fd = this.#must(name, this.#names.sys.bpf(BPF_PROG_LOAD, { prog_type, insns, insn_cnt: 2, license: cString('GPL') }));
    const bytes = new Uint8Array(bpf_prog_info.size);
    this.#must(name, this.#names.sys.bpf(BPF_OBJ_GET_INFO_BY_FD, { bpf_fd: fd, info: bytes, info_len: bytes.length }));
    const id = bpf_prog_info.read(new DataView(bytes.buffer)).id;
    this.#names.add(name, 'prog', id, fd);
  }

  #link(name: string, prog: string, attach_type: number): void {
    const attr = { prog_fd: this.#names.fd(prog), target_ifindex: this.#names.ifindex('o0'), attach_type };
    const fd = this.#must(name, this.#names.sys.bpf(BPF_LINK_CREATE, attr));
    const { id } = this.#linkInfo(fd);
    this.#names.add(name, 'link', id, fd);
  }

  #must(what: string, result: number): number {
    if (result < 0) throw new Error(`the set-up of ${what} failed: ${errnoName(result)}`);
    return result;
  }

  #flags(list: unknown): number {
    return (list as string[]).reduce((bits, flag) => (bits | (FLAGS[flag] ?? Number(flag))) >>> 0, 0);
  }

  #linkInfo(
    fd: number,
    sys: Syscalls = this.#names.sys,
  ): { type: number; id: number; prog_id: number; ifindex: number; attach_type: number } {
    const bytes = new Uint8Array(bpf_link_info.size);
    this.#must('link info', sys.bpf(BPF_OBJ_GET_INFO_BY_FD, { bpf_fd: fd, info: bytes, info_len: bytes.length }));
    const { type, id, prog_id, tcx } = bpf_link_info.read(new DataView(bytes.buffer));
    return { type, id, prog_id, ifindex: tcx.ifindex ?? 0, attach_type: tcx.attach_type ?? 0 };
  }

  #hookState(attach_type: number): unknown {
    const [prog_ids, link_ids] = [new Uint32Array(QUERY_ROOM), new Uint32Array(QUERY_ROOM)];
    const attr = {
      target_ifindex: this.#names.ifindex(this.#current),
      attach_type,
      prog_ids,
      link_ids,
      count: QUERY_ROOM,
      revision: 0n,
    };
    const result = this.#names.sys.bpf(BPF_PROG_QUERY, attr);
    if (result < 0) return { res: nameOf(result) };
    const progs = Array.from(prog_ids.subarray(0, attr.count), (id, at) => [
      this.#names.progName(id),
      this.#names.linkName(link_ids[at]!) ?? null,
    ]);
    return { rev: Number(attr.revision), progs };
  }

  #attachAttr(op: TraceOp): Record<string, number | bigint> {
    return {
      target_ifindex: this.#names.ifindex(op['dev']),
      attach_bpf_fd: this.#names.value(op['prog']),
      attach_type: hookType(op),
      attach_flags: this.#flags(op['flags']),
      replace_bpf_fd: this.#names.value(op['replace'] ?? '0'),
      relative_fd: this.#names.value(op['rel']),
      expected_revision: BigInt(op['rev'] as number | string),
    };
  }

  readonly #handlers: Readonly<Record<string, (op: TraceOp) => Answer>> = {
    attach: (op) => answer(this.#names.sys.bpf(BPF_PROG_ATTACH, this.#attachAttr(op))),
    detach: (op) => answer(this.#names.sys.bpf(BPF_PROG_DETACH, this.#attachAttr(op))),
    link_create: (op) => this.#linkCreate(op),
    link_update: (op) =>
      answer(
        this.#names.sys.bpf(BPF_LINK_UPDATE, {
          link_fd: this.#names.value(op['link']),
          new_prog_fd: this.#names.value(op['new']),
          flags: this.#flags(op['flags']),
          old_prog_fd: this.#names.value(op['old']),
        }),
      ),
    link_detach: (op) => answer(this.#names.sys.bpf(BPF_LINK_DETACH, { link_fd: this.#names.value(op['link']) })),
    link_close: (op) => this.#close(String(op['link'])),
    prog_close: (op) => this.#close(String(op['prog'])),
    link_info: (op) => this.#showLink(op),
    id_to_fd: (op) => this.#idToFd(op),
    query: (op) => this.#query(op),
    dev_del: () => {
      this.#world.removeDevice(this.#names.ifindex(this.#current));
      return { res: 'OK' };
    },
    dev_add: () => {
      this.#current = `d${Number(this.#current.slice(1)) + 1}`;
      this.#names.addDevice(this.#current);
      return { res: 'OK', out: { dev: this.#current } };
    },
    clsact_add: () => answer(this.#world.addClsact(this.#names.ifindex(this.#current))),
    clsact_del: () => answer(this.#world.removeClsact(this.#names.ifindex(this.#current))),
    prog_load: () => {
      const name = `p${this.#progs++}`;
      this.#load(name, BPF_PROG_TYPE_SCHED_CLS);
      return { res: 'OK', out: { prog: name } };
    },
  };

  #linkCreate(op: TraceOp): Answer {
    const fd = this.#names.sys.bpf(BPF_LINK_CREATE, {
      prog_fd: this.#names.value(op['prog']),
      target_ifindex: this.#names.ifindex(op['dev']),
      attach_type: hookType(op),
      flags: this.#flags(op['flags']),
      tcx: { relative_fd: this.#names.value(op['rel']), expected_revision: BigInt(op['rev'] as number | string) },
    });
    if (fd < 0) return { res: nameOf(fd) };
    const name = `l${this.#links++}`;
    const { id } = this.#linkInfo(fd);
    this.#names.add(name, 'link', id, fd);
    return { res: 'OK', out: { link: name } };
  }

  #close(name: string): Answer {
    return answer(this.#names.close(name));
  }

  #showLink(op: TraceOp): Answer {
    const bytes = new Uint8Array(bpf_link_info.size);
    const result = this.#names.sys.bpf(BPF_OBJ_GET_INFO_BY_FD, {
      bpf_fd: this.#names.value(op['link']),
      info: bytes,
      info_len: bytes.length,
    });
    if (result < 0) return { res: nameOf(result) };
    const info = this.#linkInfo(this.#names.value(op['link']));
    const { type, prog_id, id, ifindex, attach_type } = info;
    const common = { type: LINK_TYPES[type] ?? type, prog: this.#names.progName(prog_id), id: this.#names.linkName(id) };
    if (type !== BPF_LINK_TYPE_TCX) return { res: 'OK', out: common };
    const hook = attach_type === BPF_TCX_EGRESS ? 'TCX_EGRESS' : 'TCX_INGRESS';
    return { res: 'OK', out: { ...common, dev: this.#names.deviceName(ifindex), attach_type: hook } };
  }

  #idToFd(op: TraceOp): Answer {
    const id = this.#names.value(op['ref']);
    const fd =
      op['kind'] === 'link'
        ? this.#names.sys.bpf(BPF_LINK_GET_FD_BY_ID, { link_id: id })
        : this.#names.sys.bpf(BPF_PROG_GET_FD_BY_ID, { prog_id: id });
    if (fd >= 0) this.#names.sys.close(fd);
    return answer(fd);
  }

  #query(op: TraceOp): Answer {
    const room = op['count'] as number;
    const prog_ids = op['ids'] === false ? null : new Uint32Array(Math.max(room, 1));
    const link_ids = new Uint32Array(Math.max(room, 1));
    const attr = {
      target_ifindex: this.#names.ifindex(op['dev']),
      attach_type: hookType(op),
      query_flags: op['query_flags'] as number,
      attach_flags: op['attach_flags'] as number,
      prog_ids,
      link_ids,
      count: room,
      revision: 0n,
    };
    const result = this.#names.sys.bpf(BPF_PROG_QUERY, attr);
    const res = nameOf(result);
    if (result < 0 && res !== 'ENOSPC') return { res };
    const shown = prog_ids?.subarray(0, Math.min(room, attr.count)) ?? [];
    const progs = Array.from(shown, (id, at) => [this.#names.progName(id), this.#names.linkName(link_ids[at]!) ?? null]);
    return { res, out: { rev: Number(attr.revision), count: attr.count, attach_flags: attr.attach_flags, progs } };
  }
}

const nameOf = (result: number): string => (result >= 0 ? 'OK' : (errnoName(result) ?? String(-result)));
const answer = (result: number): Answer => ({ res: nameOf(result) });
const hookType = (op: TraceOp): number => (op['hook'] === 'egress' ? BPF_TCX_EGRESS : BPF_TCX_INGRESS);
