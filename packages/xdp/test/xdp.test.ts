import { ethernet, udp, XDP_HOOK, hookNumber } from '@libbpf-ts/net';
import {
  BPF_LINK_CREATE,
  BPF_LINK_DETACH,
  BPF_LINK_UPDATE,
  BPF_MAP_CREATE,
  BPF_MAP_LOOKUP_ELEM,
  BPF_MAP_TYPE_DEVMAP_HASH,
  BPF_MAP_UPDATE_ELEM,
  BPF_PROG_ATTACH,
  BPF_PROG_LOAD,
  BPF_PROG_QUERY,
  BPF_PROG_TEST_RUN,
  BPF_PROG_TYPE_XDP,
  BPF_XDP,
  BPF_XDP_DEVMAP,
  cString,
  errnoName,
  XDP_FLAGS_DRV_MODE,
  XDP_FLAGS_SKB_MODE,
} from '@libbpf-ts/uapi';
import { assemble, encode } from '@libbpf-ts/isa';
import { isKernelError } from '@libbpf-ts/uapi';
import { describe, expect, test } from 'vitest';

import { setXdp } from '../src/index.ts';
import { boot, leaksAfter, load, type World } from '../../tcx/test/kit.ts';

const frame = udp({ payload: 'hello' });
const program = ({ task }: World, text: string): number => load(task, text, BPF_PROG_TYPE_XDP);
const returns = (world: World, act: number): number => program(world, `r0 = ${act}; exit`);

function link(world: World, prog: number, more: Record<string, number> = {}): number {
  return world.task.bpf(BPF_LINK_CREATE, { prog_fd: prog, target_ifindex: world.dev.ifindex, attach_type: BPF_XDP, ...more });
}

test.each([
  [0, 'dropped'],
  [1, 'dropped'],
  [2, 'delivered'],
  [3, 'sent'],
  [4, 'dropped'],
  [9, 'dropped'],
])('a program that returns %i', (act, outcome) => {
  const world = boot();
  expect(link(world, returns(world, act))).toBeGreaterThan(0);
  expect(world.dev.receive(frame)).toMatchObject({ outcome, xdp: act });
  expect(world.dev.sent).toEqual(act === 3 ? [frame] : []);
  expect(leaksAfter(world)).toEqual([]);
});

test('links: one a device, update, detach', () => {
  const world = boot();
  const { task } = world;
  const [drop, pass] = [returns(world, 1), returns(world, 2)];
  const fd = link(world, drop);
  expect(errnoName(link(world, pass))).toBe('EBUSY');
  expect(errnoName(task.bpf(BPF_LINK_UPDATE, { link_fd: fd, new_prog_fd: load(task, 'r0 = 0; exit') }))).toBe('EINVAL');
  expect(errnoName(task.bpf(BPF_LINK_UPDATE, { link_fd: fd, new_prog_fd: pass, flags: 4, old_prog_fd: pass }))).toBe('EPERM');
  expect(task.bpf(BPF_LINK_UPDATE, { link_fd: fd, new_prog_fd: pass })).toBe(0);
  expect(world.dev.receive(frame).outcome).toBe('delivered');
  expect(task.bpf(BPF_LINK_DETACH, { link_fd: fd })).toBe(0);
  expect(errnoName(task.bpf(BPF_LINK_UPDATE, { link_fd: fd, new_prog_fd: drop }))).toBe('ENOLINK');
  expect(world.dev.xdp).toBeNull();
  expect(
    errnoName(task.bpf(BPF_PROG_ATTACH, { target_ifindex: world.dev.ifindex, attach_bpf_fd: drop, attach_type: BPF_XDP })),
  ).toBe('EINVAL');
  expect(errnoName(task.bpf(BPF_PROG_QUERY, { target_ifindex: world.dev.ifindex, attach_type: BPF_XDP }))).toBe('EINVAL');
  expect(errnoName(link(world, drop, { target_ifindex: 999 }))).toBe('EINVAL');
  expect(errnoName(link(world, drop, { flags: 1 }))).toBe('EINVAL');
  expect(errnoName(link(world, drop, { flags: XDP_FLAGS_SKB_MODE | XDP_FLAGS_DRV_MODE }))).toBe('EINVAL');
  expect(leaksAfter(world)).toEqual([]);
});

test('a link and a program without one keep off each other', () => {
  const world = boot();
  const { task, dev } = world;
  const code = (act: () => void): string | undefined => {
    try {
      act();
      return undefined;
    } catch (error) {
      return isKernelError(error) ? error.code : 'bug';
    }
  };
  const drop = returns(world, 1);
  setXdp(task, dev.ifindex, drop);
  expect(errnoName(link(world, returns(world, 2)))).toBe('EBUSY');
  expect(dev.receive(frame).outcome).toBe('dropped');
  expect(code(() => setXdp(task, dev.ifindex, returns(world, 2), XDP_FLAGS_SKB_MODE))).toBe('EEXIST');
  setXdp(task, dev.ifindex, -1);
  const fd = link(world, drop);
  expect(code(() => setXdp(task, dev.ifindex, -1))).toBe('EBUSY');
  task.close(fd);
  expect(dev.xdp).toBeNull();
  expect(leaksAfter(world)).toEqual([]);
});

test('metadata of XDP is there for tc, and the VLAN tag is inline for XDP', () => {
  const world = boot();
  const { dev, net } = world;
  const text =
    'r6 = r1; r2 = -4; call bpf_xdp_adjust_meta#54; r2 = *(u32 *)(r6 + 8); r3 = *(u32 *)(r6 + 0); r4 = r2; r4 += 4; if r4 > r3 goto pc+1; *(u32 *)(r2 + 0) = 77; r0 = 2; exit';
  link(world, program(world, text));
  const seen: number[] = [];
  dev.ingress.cls = {
    run: (skb) => (seen.push(net.arena.u32[skb.get('data_meta') >> 2] ?? 0, skb.metaLength, skb.get('vlan_present')), -1),
  };
  dev.receive(udp({ vlan: [{ tci: 5 }] }));
  dev.receive(udp());
  expect(seen[1]).toBe(4);
  expect([seen[2], seen[5]]).toEqual([1, 0]);
  expect(new DataView(net.arena.memory.buffer).byteLength).toBeGreaterThan(0);
  expect(leaksAfter(world)).toEqual([]);
});

describe('bpf_redirect_map', () => {
  function devmap({ task }: World, value_size = 4): number {
    return task.bpf(BPF_MAP_CREATE, { map_type: BPF_MAP_TYPE_DEVMAP_HASH, key_size: 4, value_size, max_entries: 8 });
  }
  function put({ task }: World, map: number, key: number, ...value: number[]): number {
    return task.bpf(BPF_MAP_UPDATE_ELEM, { map_fd: map, key: Uint32Array.of(key), value: Uint32Array.from(value) });
  }
  function redirecting({ task }: World, map: number, key: number, flags: number): number {
    const body = encode(assemble(`r2 = ${key}\nr3 = ${flags}\ncall bpf_redirect_map#51\nexit`));
    const load64 = Uint8Array.of(0x18, 0x11, 0, 0, map, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    const insns = Uint8Array.of(...load64, ...body);
    return task.bpf(BPF_PROG_LOAD, {
      prog_type: BPF_PROG_TYPE_XDP,
      insns,
      insn_cnt: insns.length / 8,
      license: cString('GPL'),
    });
  }
  const retval = ({ task }: World, prog_fd: number): number => {
    const attr = { prog_fd, data_in: frame, data_size_in: frame.length, retval: 0 };
    expect(task.bpf(BPF_PROG_TEST_RUN, attr)).toBe(0);
    return attr.retval;
  };

  test('hits and misses as recorded', () => {
    const world = boot();
    const map = devmap(world);
    put(world, map, 7, world.dev.ifindex);
    expect(retval(world, redirecting(world, map, 7, 0))).toBe(4);
    expect(retval(world, redirecting(world, map, 9, 2))).toBe(2);
    expect(retval(world, redirecting(world, map, 9, 5))).toBe(0);
    expect(errnoName(put(world, map, 1, 9999))).toBe('EINVAL');
    expect(leaksAfter(world)).toEqual([]);
  });

  test('sends frames to the device, and forgets a device that goes', () => {
    const world = boot();
    const out = world.net.init.addDevice({ name: 'out' });
    const map = devmap(world);
    put(world, map, 5, out.ifindex);
    link(world, redirecting(world, map, 5, 0));
    for (let i = 0; i < 5; i++) expect(world.dev.receive(frame).outcome).toBe('redirected');
    expect(out.sent).toHaveLength(5);
    world.net.init.removeDevice(out);
    expect(
      errnoName(world.task.bpf(BPF_MAP_LOOKUP_ELEM, { map_fd: map, key: Uint32Array.of(5), value: new Uint32Array(1) })),
    ).toBe('ENOENT');
    expect(world.dev.receive(frame).outcome).toBe('dropped');
    expect(leaksAfter(world)).toEqual([]);
  });

  test('broadcasts, without the device that it came from', () => {
    const world = boot();
    const others = ['a', 'b'].map((name) => world.net.init.addDevice({ name }));
    const map = devmap(world);
    [world.dev, ...others].forEach((device, key) => put(world, map, key, device.ifindex));
    link(world, redirecting(world, map, 99, 8 | 16));
    expect(world.dev.receive(frame).outcome).toBe('redirected');
    expect([world.dev, ...others].map(({ sent }) => sent.length)).toEqual([0, 1, 1]);
    expect(world.net.skbs.inUse).toBe(0);
    expect(leaksAfter(world)).toEqual([]);
  });

  test('runs the program of the entry', () => {
    const world = boot();
    const { task, net } = world;
    const out = net.init.addDevice({ name: 'out' });
    const map = devmap(world, 8);
    const insns = encode(assemble('r0 = *(u32 *)(r1 + 20)\nif r0 == 3 goto pc+2\nr0 = 1\nexit\nr0 = 2\nexit'));
    const entry = task.bpf(BPF_PROG_LOAD, {
      prog_type: BPF_PROG_TYPE_XDP,
      insns,
      insn_cnt: insns.length / 8,
      license: cString('GPL'),
      expected_attach_type: BPF_XDP_DEVMAP,
    });
    expect(put(world, map, 5, out.ifindex, entry)).toBe(0);
    expect(out.ifindex).toBe(3);
    link(world, redirecting(world, map, 5, 0));
    expect(world.dev.receive(frame).outcome).toBe('redirected');
    expect(errnoName(link(world, entry))).toBe('EBUSY');
    expect(leaksAfter(world)).toEqual([]);
  });
});

test('live frames go through the stack', () => {
  const world = boot();
  const attr = {
    prog_fd: returns(world, 2),
    data_in: ethernet(0x0800, new Uint8Array(50)),
    data_size_in: 64,
    flags: 2,
    repeat: 10,
  };
  expect(world.task.bpf(BPF_PROG_TEST_RUN, attr)).toBe(0);
  expect(world.net.skbs.inUse).toBe(0);
  expect(leaksAfter(world)).toEqual([]);
});

test('traces name the program', () => {
  const world = boot();
  link(world, returns(world, 2));
  world.dev.receive(frame);
  expect(world.net.ring!.read()).toMatchObject([{ hook: hookNumber(world.dev, XDP_HOOK), ret: 2 }]);
  expect(leaksAfter(world)).toEqual([]);
});
