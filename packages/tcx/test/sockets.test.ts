/** Lookups of sockets, and what they show of themselves, against the live kernel's answers among the same sockets. */

import { readFileSync } from 'node:fs';

import { openSocket, setNetns, socketOf, tcp, udp, type NetDevice, type Socket, type SocketOptions } from '@libbpf-ts/net';
import {
  BPF_PROG_LOAD,
  BPF_PROG_TEST_RUN,
  BPF_PROG_TYPE_SCHED_CLS,
  BPF_PROG_TYPE_XDP,
  cString,
  errnoName,
} from '@libbpf-ts/uapi';
import { describe, expect, test } from 'vitest';

import { attach, boot, leaksAfter, load, type World } from './kit.ts';

interface RecordedSocket {
  readonly type: 'udp' | 'tcp';
  readonly address: string;
  readonly port: number;
  readonly remote?: readonly [string, number];
  readonly state?: 'listen' | 'established' | 'time_wait';
  readonly device?: string;
  readonly v6only?: boolean;
  readonly mark?: number;
  readonly priority?: number;
  readonly accepted?: boolean;
}
interface Header {
  readonly kernel: string;
  readonly sockets: readonly RecordedSocket[];
  readonly devices: Readonly<Record<string, number>>;
  readonly at: number;
  readonly words: number;
  readonly before: string;
  readonly after: Readonly<Record<string, string>>;
  readonly packets: Readonly<Record<string, string>>;
}
interface Row {
  readonly case: string;
  readonly type: 'sched_cls' | 'xdp';
  readonly code: string;
  /** `device packet` to the words that the program wrote; null where the kernel's value is chance. */
  readonly runs: Readonly<Record<string, string | readonly (number | null)[]>>;
}

const [header, ...rows] = readFileSync(new URL('../../net/test/oracle/sockets.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as never) as unknown as [Header, ...Row[]];

const fromHex = (text: string): Uint8Array => Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));

function open({ net, task }: World, socket: RecordedSocket): void {
  const { remote, device, ...rest } = socket;
  const options: SocketOptions = {
    ...rest,
    ...(remote ? { remote: { address: remote[0], port: remote[1] } } : {}),
    ...(device === undefined ? {} : { device: net.init.get(device) }),
  };
  openSocket(task, options);
}

/** The recorded devices and sockets. */
function scene(): World {
  const world = boot();
  world.net.init.removeDevice(world.dev);
  world.net.init.addVeth(
    { name: 'v0', ifindex: header.devices['v0']!, addresses: ['10.9.0.1/24'] },
    { name: 'v1', ifindex: 99 },
  );
  for (const socket of header.sockets) open(world, socket);
  return world;
}

function run(world: World, row: Row, where: string, fd: number): string | number[] {
  const [device = '', packet = ''] = where.split(' ');
  const data_in = fromHex(header.packets[packet]!);
  const data_out = new Uint8Array(4096);
  const ctx_in = new Uint8Array(row.type === 'xdp' ? 24 : 192);
  const view = new DataView(ctx_in.buffer);
  if (row.type === 'xdp') view.setUint32(4, data_in.length, true);
  view.setUint32(row.type === 'xdp' ? 12 : 40, header.devices[device]!, true);
  const attr = {
    prog_fd: fd,
    data_in,
    data_size_in: data_in.length,
    data_out,
    data_size_out: data_out.length,
    ctx_in,
    ctx_size_in: ctx_in.length,
  };
  const result = world.task.bpf(BPF_PROG_TEST_RUN, attr);
  if (result < 0) return `${errnoName(result)}`;
  const out = new DataView(data_out.buffer);
  return Array.from({ length: header.words }, (_, at) => out.getUint32(header.at + 4 * at, true));
}

/** With what is chance taken over, and zeros at the end cut off as the record has them. */
function comparable(actual: string | number[], live: string | readonly (number | null)[]): unknown {
  if (typeof actual === 'string' || typeof live === 'string') return actual;
  const words: (number | null)[] = actual.map((value, at) => (live[at] === null ? null : value));
  while (words.at(-1) === 0) words.pop();
  return words;
}

function differences(world: World, row: Row): unknown[] {
  const insns = fromHex(header.before + row.code + header.after[row.type]);
  const prog_type = row.type === 'xdp' ? BPF_PROG_TYPE_XDP : BPF_PROG_TYPE_SCHED_CLS;
  const fd = world.task.bpf(BPF_PROG_LOAD, { prog_type, insns, insn_cnt: insns.length / 8, license: cString('GPL') });
  if (fd < 0) return [{ case: row.case, refused: `${errnoName(fd)}: ${world.task.lastError?.detail}` }];
  const found = Object.entries(row.runs).flatMap(([where, live]) => {
    const here = comparable(run(world, row, where, fd), live);
    return JSON.stringify(here) === JSON.stringify(live) ? [] : [{ case: `${row.case} (${row.type}, ${where})`, live, here }];
  });
  world.task.close(fd);
  return found;
}

describe(`among the same sockets as on Linux ${header.kernel}`, () => {
  const helpers = [...new Set(rows.map((row) => row.case.split(' ')[0]!))];
  test.each(helpers)('%s', (helper) => {
    const world = scene();
    const mine = rows.filter((row) => row.case.split(' ')[0] === helper);
    expect(mine.flatMap((row) => differences(world, row))).toEqual([]);
    const held = world.net.sockets.flatMap(({ holders }) => holders).filter(({ kind }) => kind !== 'fd');
    expect(held).toEqual([]);
    expect(leaksAfter(world)).toEqual([]);
    expect(world.net.sockets).toEqual([]);
  });
});

describe('bpf_sk_assign', () => {
  /** Looks a socket up in the packet's namespace, steers the packet to it, gives it back. */
  const steer = (kind: 84 | 85, port: number): string => {
    const helper = kind === 84 ? 'bpf_sk_lookup_tcp#84' : 'bpf_sk_lookup_udp#85';
    const swapped = ((port & 0xff) << 8) | (port >> 8);
    return [
      'r6 = r1; *(u32 *)(r10 - 16) = 0; *(u32 *)(r10 - 12) = 0x0200000a',
      `*(u16 *)(r10 - 8) = 0; *(u16 *)(r10 - 6) = ${swapped}`,
      `r2 = r10; r2 += -16; r3 = 12; r4 = -1; r5 = 0; call ${helper}; if r0 == 0 goto pc+9`,
      'r7 = r0; r1 = r6; r2 = r7; r3 = 0; call bpf_sk_assign#124',
      'r1 = r7; call bpf_sk_release#86; r0 = 0; exit',
      'r0 = 2; exit',
    ].join(';');
  };

  const setUp = (): World & { readonly b: NetDevice } => {
    const world = boot();
    const other = world.net.addNamespace('other');
    const [, b] = other.addVeth({ name: 'a' }, { name: 'b', addresses: ['10.0.0.2/24'] });
    setNetns(world.task, other);
    return { ...world, b };
  };
  const texts = (socket: Socket): string[] => socket.received.map(({ bytes }) => new TextDecoder().decode(bytes));

  test('gives the packet to the socket, whatever its port says', () => {
    const world = setUp();
    const { task, b } = world;
    const [proxy, plain] = [5000, 53].map((port) => socketOf(task, openSocket(task, { type: 'udp', port })));
    const frame = udp({ dst: b.mac, payload: 'hello' });
    b.receive(frame);
    attach(world, b, load(task, steer(85, 5000)));
    expect(b.receive(frame)).toMatchObject({ verdict: 'TCX_PASS', outcome: 'delivered' });
    expect([texts(plain!), texts(proxy!)]).toEqual([['hello'], ['hello']]);
    expect(proxy!.holders).toHaveLength(1);
    expect(leaksAfter(world)).toEqual([]);
  });

  test('a connection that a program holds is counted, and given back after its packet', () => {
    const world = setUp();
    const { task, b } = world;
    const options = { type: 'tcp', address: '10.0.0.2', port: 80, remote: { address: '0.0.0.0', port: 0 } } as const;
    const connection = socketOf(task, openSocket(task, options));
    attach(world, b, load(task, steer(84, 80)));
    expect(b.receive(tcp({ dst: b.mac, sport: 7, dport: 8, payload: 'x' })).outcome).toBe('delivered');
    expect(connection.received).toHaveLength(1);
    expect(connection.holders).toMatchObject([{ kind: 'fd' }]);
    expect(leaksAfter(world)).toEqual([]);
  });

  test('a crash closes sockets, and leaks() names those that are open', () => {
    const world = setUp();
    const crashed = world.kernel.task('server');
    openSocket(crashed, { type: 'udp', address: '10.0.0.2', port: 53 });
    expect(world.kernel.leaks().map(({ text }) => text)).toEqual(['socket 1 (udp 10.0.0.2:53) held by fd 3 of task server']);
    crashed.exit();
    expect(world.kernel.leaks()).toEqual([]);
    expect(leaksAfter(world)).toEqual([]);
  });

  test('a fork has its own sockets', () => {
    const world = setUp();
    const { kernel, task, b } = world;
    const fd = openSocket(task, { type: 'udp', port: 53 });
    const fork = kernel.fork();
    const there = socketOf(fork.twin(task), fd);
    fork.twin(b).receive(udp({ dst: b.mac, payload: 'only here' }));
    expect([texts(there), texts(socketOf(task, fd))]).toEqual([['only here'], []]);
    fork.twin(task).exit();
    expect(fork.leaks()).toEqual([]);
    expect(leaksAfter(world)).toEqual([]);
  });
});
