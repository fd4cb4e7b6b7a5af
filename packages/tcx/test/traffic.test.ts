/** The same frames through the same programs as on the live kernel: what each stage saw, what was captured, what sockets got. */

import { readFileSync } from 'node:fs';

import { addFilter, TC_H_MIN_EGRESS, TC_H_MIN_INGRESS } from '@libbpf-ts/cls-bpf';
import {
  ETH_P_ALL,
  ETH_P_IP,
  IPPROTO_UDP,
  netOf,
  setNetns,
  Socket,
  type NetDevice,
  type NetNamespace,
  type RouteType,
} from '@libbpf-ts/net';
import {
  BPF_LINK_CREATE,
  BPF_MAP_CREATE,
  BPF_MAP_LOOKUP_ELEM,
  BPF_MAP_TYPE_ARRAY,
  BPF_PROG_LOAD,
  BPF_PROG_TYPE_SCHED_CLS,
  BPF_PROG_TYPE_XDP,
  BPF_TCX_EGRESS,
  BPF_TCX_INGRESS,
  BPF_XDP,
  cString,
} from '@libbpf-ts/uapi';
import { describe, expect, test } from 'vitest';

import { boot, clsact, leaksAfter, type World } from './kit.ts';

interface Header {
  readonly kernel: string;
  readonly index: Readonly<Record<string, number>>;
  readonly macs: Readonly<Record<string, string>>;
  readonly addresses: Readonly<Record<string, string>>;
  readonly home: Readonly<Record<string, string>>;
  /** Destination, device, next hop, type. */
  readonly routes: readonly (readonly [string, string, string | null, RouteType | null])[];
  readonly neighbours: readonly string[];
  readonly fields: readonly string[];
  readonly xdpFields: readonly string[];
  readonly slots: number;
  readonly valueSize: number;
  readonly notes: readonly string[];
  readonly xdpNotes: readonly string[];
}
interface Row {
  readonly case: string;
  /** Device, hook, the slot where the program notes what it sees, and what it does then. */
  readonly hooks: readonly (readonly [string, string, number, string])[];
  readonly from: string;
  readonly frame: string;
  readonly seen: Readonly<Record<string, readonly (number | null)[]>>;
  /** What each socket got; null where the kernel's answer is a race. */
  readonly got: Readonly<Record<string, readonly string[] | null>>;
}

const [header, ...rows] = readFileSync(new URL('../../net/test/oracle/traffic.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as never) as unknown as [Header, ...Row[]];

const fromHex = (text: string): Uint8Array => Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
const toHex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

interface Lab extends World {
  readonly device: Readonly<Record<string, NetDevice>>;
  readonly sockets: Map<string, Socket>;
}

/** Three namespaces and two veth pairs, as the recorder makes them. */
function lab(): Lab {
  const world = boot();
  const { net } = world;
  net.init.removeDevice(world.dev);
  const spaces: Record<string, NetNamespace> = { H: net.init, P: net.addNamespace('P'), Q: net.addNamespace('Q') };
  net.init.forwarding = false;
  const options = (name: string): Parameters<NetNamespace['addVeth']>[0] => ({
    name,
    ifindex: header.index[name]!,
    mac: header.macs[name]!,
    addresses: [`${header.addresses[name]}/24`],
  });
  const [h0, p0] = net.init.addVeth(options('h0'), options('p0'), spaces['P']);
  const [h1, q1] = net.init.addVeth(options('h1'), options('q1'), spaces['Q']);
  for (const [at, to] of [
    [h0, p0],
    [p0, h0],
    [h1, q1],
    [q1, h1],
  ] as const) {
    at.netns.addNeighbour(at, header.addresses[to.name]!, header.macs[to.name]!);
  }
  for (const address of header.neighbours) net.init.addNeighbour(h1, address, header.macs['q1']!);
  for (const [dst, dev, via, type] of header.routes)
    net.init.addRoute({ dst, dev: net.init.get(dev), ...(via ? { via } : {}), ...(type ? { type } : {}) });
  const device = { h0, p0, h1, q1 };
  const sockets = new Map<string, Socket>();
  for (const [name, dev] of Object.entries(device)) {
    sockets.set(`tap ${name}`, new Socket(dev.netns, { type: 'packet', device: dev }));
    sockets.set(`ip ${name}`, new Socket(dev.netns, { type: 'packet', device: dev, protocol: ETH_P_IP }));
    sockets.set(`udp ${name}`, new Socket(dev.netns, { type: 'udp', address: header.addresses[name]!, port: 53 }));
  }
  sockets.set('udp any 55', new Socket(net.init, { type: 'udp', port: 55 }));
  sockets.set('udp h1 56', new Socket(net.init, { type: 'udp', address: '10.0.0.1', port: 56 }));
  sockets.set('raw H', new Socket(net.init, { type: 'raw', protocol: IPPROTO_UDP }));
  return { ...world, device, sockets };
}

function loadNoting({ task }: Lab, hook: string, slot: number, steps: string, notes: number): number {
  const insns = fromHex((hook === 'xdp' ? header.xdpNotes : header.notes)[slot]! + steps);
  const view = new DataView(insns.buffer);
  for (let at = 0; at < insns.length; at += 8) if (view.getUint16(at, true) === 0x1118) view.setInt32(at + 4, notes, true);
  const prog_type = hook === 'xdp' ? BPF_PROG_TYPE_XDP : BPF_PROG_TYPE_SCHED_CLS;
  const fd = task.bpf(BPF_PROG_LOAD, { prog_type, insns, insn_cnt: insns.length / 8, license: cString('GPL') });
  if (fd < 0) throw new Error(`load: ${task.lastError?.message}`);
  return fd;
}

function hang(world: Lab, row: Row, notes: number): void {
  const { task, device } = world;
  const classic = new Set<NetDevice>();
  for (const [at, [name, hook, slot, steps]] of row.hooks.entries()) {
    const dev = device[name]!;
    setNetns(task, dev.netns);
    const prog_fd = loadNoting(world, hook, slot, steps, notes);
    const attach_type = { xdp: BPF_XDP, tcx_ingress: BPF_TCX_INGRESS, tcx_egress: BPF_TCX_EGRESS }[hook];
    if (attach_type !== undefined) {
      expect(task.bpf(BPF_LINK_CREATE, { prog_fd, target_ifindex: dev.ifindex, attach_type })).toBeGreaterThan(0);
      continue;
    }
    if (!classic.has(dev)) clsact(world, dev);
    classic.add(dev);
    const parent = hook === 'cls_ingress' ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS;
    const filter = { ifindex: dev.ifindex, parent, protocol: ETH_P_ALL, prio: at + 1, create: true, fd: prog_fd, flags: 1 };
    expect(addFilter(task, filter).result).toBe(0);
  }
}

function notesOf({ task }: Lab, row: Row, notes: number): Row['seen'] {
  const seen: Record<string, (number | null)[]> = {};
  for (let slot = 0; slot < header.slots; slot++) {
    const value = new Uint8Array(header.valueSize);
    task.bpf(BPF_MAP_LOOKUP_ELEM, { map_fd: notes, key: Uint8Array.of(slot, 0, 0, 0), value });
    const view = new DataView(value.buffer);
    if (view.getUint32(0, true) === 0) continue;
    const live = row.seen[slot];
    const count = live ? live.length - 1 : header.fields.length;
    const words = Array.from({ length: count }, (_, at) => (live?.[at + 1] === null ? null : view.getUint32(8 + 4 * at, true)));
    seen[slot] = [view.getUint32(0, true), ...words];
  }
  return seen;
}

/** Sorted by the socket's name; a packet socket's frames with the kind of packet in front. */
function gotOf({ sockets }: Lab): Row['got'] {
  const got: [string, string[]][] = [];
  for (const [name, { received }] of sockets) {
    const text = received.map(({ bytes, packetType }) => (packetType === undefined ? '' : `${packetType} `) + toHex(bytes));
    if (text.length > 0) got.push([name, text]);
  }
  return Object.fromEntries(got.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Fields by name, for a difference that can be read. */
function named(row: Row, seen: Row['seen']): unknown {
  return Object.entries(seen).map(([slot, [count, ...words]]) => {
    const xdp = row.hooks.some(([, hook, number]) => hook === 'xdp' && number === Number(slot));
    const fields = xdp ? header.xdpFields : header.fields;
    return `${slot}: ${count}x ${words.map((word, at) => `${fields[at]}=${word}`).join(' ')}`;
  });
}

describe(`frames through hooks, as on Linux ${header.kernel}`, () => {
  test.each(rows.map((row) => [row.case, row] as const))('%s', (_, row) => {
    const world = lab();
    const { task, net, device } = world;
    const map = { map_type: BPF_MAP_TYPE_ARRAY, key_size: 4, value_size: header.valueSize, max_entries: header.slots };
    const notes = task.bpf(BPF_MAP_CREATE, map);
    hang(world, row, notes);
    device[row.from]!.transmit(fromHex(row.frame));
    expect(named(row, notesOf(world, row, notes))).toEqual(named(row, row.seen));
    const got = gotOf(world);
    for (const name of Object.keys(row.got)) if (row.got[name] === null) Object.assign(got, { [name]: null });
    // The recorder closes this one for the scenes of bpf_sk_assign.
    if (row.case.startsWith('sk_assign')) delete (got as Record<string, unknown>)['ip h0'];
    expect(got).toEqual(row.got);
    for (const socket of world.sockets.values()) socket.close();
    expect(net.skbs.inUse).toBe(0);
    expect(leaksAfter(world)).toEqual([]);
    expect(netOf(world.kernel).sockets).toEqual([]);
  });
});
