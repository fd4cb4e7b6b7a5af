import { readFileSync } from 'node:fs';

import { Kernel } from '@libbpf-ts/kernel';
import { maps } from '@libbpf-ts/maps';
import { netOf, type NetDevice, type RouteType } from '@libbpf-ts/net';
import {
  BPF_MAP_CREATE,
  BPF_MAP_LOOKUP_ELEM,
  BPF_MAP_TYPE_ARRAY,
  BPF_MAP_UPDATE_ELEM,
  BPF_PROG_LOAD,
  BPF_PROG_TEST_RUN,
  BPF_PROG_TYPE_SCHED_CLS,
  BPF_PROG_TYPE_XDP,
  cString,
  errnoName,
} from '@libbpf-ts/uapi';
import { verify } from '@libbpf-ts/verifier';
import { interpreterEngine, jitEngine } from '@libbpf-ts/vm';
import { xdp } from '@libbpf-ts/xdp';
import { describe, expect, test } from 'vitest';

import { tcx } from '@libbpf-ts/tcx';

import { leaksAfter, type World } from './kit.ts';

/** What the live kernel's bpf_fib_lookup said, and what it left in the parameters. */
interface Answer {
  readonly errno?: string | undefined;
  readonly result?: number;
  readonly params?: string;
}
interface Row {
  readonly case: string;
  readonly state: string;
  readonly params: string;
  readonly flags: number;
  readonly length: number;
  readonly sched_cls: Answer;
  readonly xdp: Answer;
}
interface Header {
  readonly kernel: string;
  readonly program: string;
  readonly devices: readonly { name: string; ifindex: number; mac: string; mtu: number; addresses: string[] }[];
  readonly routes: readonly {
    dst: string;
    dev: string;
    via?: string;
    src?: string;
    type?: RouteType;
    mtu?: number;
    mtuLocked?: boolean;
    metric?: number;
    table?: number;
  }[];
  readonly rules: readonly { priority: number; mark: number; mask?: number; table: number }[];
  readonly neighbours: readonly { dev: string; address: string; mac: string }[];
}

const [header, ...rows] = readFileSync(new URL('../../net/test/oracle/fib.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as never) as unknown as [Header, ...Row[]];

const fromHex = (text: string): Uint8Array => Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
const toHex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** The value of the array: 64 bytes of parameters, the flags, the result. */
const VALUE_SIZE = 80;
const TYPES = { sched_cls: BPF_PROG_TYPE_SCHED_CLS, xdp: BPF_PROG_TYPE_XDP } as const;

/** The devices, routes, rules and neighbours of the recording. */
function lab(engine: typeof jitEngine): World & { readonly h0: NetDevice } {
  const kernel = new Kernel({ subsystems: [maps, tcx, xdp], verify, engines: [engine] });
  const net = netOf(kernel);
  const { init } = net;
  header.devices.forEach((device, at) =>
    init.addVeth(device, { name: `p${at}`, ifindex: 20 + at, mac: `02:00:00:00:00:2${at}` }),
  );
  for (const route of header.routes) init.addRoute({ ...route, dev: init.get(route.dev) });
  init.rules.push(...header.rules);
  for (const { dev, address, mac } of header.neighbours) init.addNeighbour(init.get(dev), address, mac);
  const h0 = init.get('h0');
  return { kernel, task: kernel.task('test'), net, dev: h0, h0 };
}

function loadAsking({ task }: World, prog_type: number, map: number): number {
  const insns = fromHex(header.program);
  const view = new DataView(insns.buffer);
  for (let at = 0; at < insns.length; at += 8) if (view.getUint16(at, true) === 0x1118) view.setInt32(at + 4, map, true);
  const fd = task.bpf(BPF_PROG_LOAD, { prog_type, insns, insn_cnt: insns.length / 8, license: cString('GPL') });
  if (fd < 0) throw new Error(`load: ${task.lastError?.message}`);
  return fd;
}

function ask({ task }: World, map: number, prog_fd: number, row: Row): Answer {
  const [key, value] = [new Uint8Array(4), new Uint8Array(VALUE_SIZE)];
  value.set(fromHex(row.params));
  const view = new DataView(value.buffer);
  view.setUint32(64, row.flags, true);
  task.bpf(BPF_MAP_UPDATE_ELEM, { map_fd: map, key, value, flags: 0n });
  const data_in = new Uint8Array(row.length);
  data_in.set(fromHex('0200000000020200000000010800'));
  const result = task.bpf(BPF_PROG_TEST_RUN, { prog_fd, data_in, data_size_in: row.length, repeat: 1 });
  if (result < 0) return { errno: errnoName(result) };
  task.bpf(BPF_MAP_LOOKUP_ELEM, { map_fd: map, key, value, flags: 0n });
  const params = toHex(value.subarray(0, 64));
  return { result: view.getInt32(68, true), params: params === row.params ? 'same' : params };
}

describe.each([
  ['interpreter', interpreterEngine],
  ['jit', jitEngine],
])(`bpf_fib_lookup, as Linux ${header.kernel} answered, %s`, (_, engine) => {
  test.each(['sched_cls', 'xdp'] as const)('%s', (type) => {
    const world = lab(engine);
    const { task, h0 } = world;
    const attr = { map_type: BPF_MAP_TYPE_ARRAY, key_size: 4, value_size: VALUE_SIZE, max_entries: 1 };
    const map = task.bpf(BPF_MAP_CREATE, attr);
    const prog = loadAsking(world, TYPES[type], map);
    const differences = rows.flatMap((row) => {
      h0.forwarding = row.state === 'up';
      const here = ask(world, map, prog, row);
      return JSON.stringify(here) === JSON.stringify(row[type]) ? [] : [{ case: row.case, live: row[type], here }];
    });
    expect(differences).toEqual([]);
    expect(leaksAfter(world)).toEqual([]);
  });
});
