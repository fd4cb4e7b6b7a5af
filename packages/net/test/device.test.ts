import { Kernel } from '@libbpf-ts/kernel';
import { isKernelError } from '@libbpf-ts/uapi';
import { describe, expect, test } from 'vitest';

import { fibLookup, net, netnsOf, netOf, setNetns, Socket, udp, type Net } from '../src/index.ts';

const boot = (): { kernel: Kernel; state: Net } => {
  const kernel = new Kernel({ subsystems: [net] });
  return { kernel, state: netOf(kernel) };
};

const code = (act: () => unknown): string => {
  try {
    act();
    return 'OK';
  } catch (error) {
    return isKernelError(error) ? error.code : 'bug';
  }
};

test('lo is 1, ifindexes count on and are not given again', () => {
  const { state } = boot();
  const { init } = state;
  expect(init.get('lo').ifindex).toBe(1);
  const a = init.addDevice({ name: 'a' });
  init.removeDevice(a);
  expect([a.ifindex, init.addDevice({ name: 'a' }).ifindex]).toEqual([2, 3]);
  expect(code(() => init.addDevice({ name: 'a' }))).toBe('EEXIST');
  expect(code(() => init.addDevice({ ifindex: 1 }))).toBe('EBUSY');
  expect(code(() => init.get('nowhere'))).toBe('ENODEV');
});

test('a task sees the devices of its namespace', () => {
  const { kernel, state } = boot();
  const other = state.addNamespace('other');
  other.addDevice({ name: 'x' });
  const task = kernel.task();
  expect(task.ifNameToIndex('x')).toBe(-19);
  setNetns(task, other);
  expect([task.ifNameToIndex('x'), netnsOf(task).name]).toEqual([2, 'other']);
  task.exit();
});

describe('veth', () => {
  test('what one end sends the other receives, without its mark in another namespace', () => {
    const { state } = boot();
    const other = state.addNamespace();
    const [a, b] = state.init.addVeth({ name: 'a' }, { name: 'b', addresses: ['10.0.0.2/24'] }, other);
    const socket = new Socket(other, { type: 'udp', port: 53 });
    const tap = new Socket(other, { type: 'packet', device: b });
    const frame = udp({ dst: b.mac, payload: 'hi' });
    expect(a.transmit(frame, { mark: 7 }).outcome).toBe('sent');
    expect(socket.received).toMatchObject([{ from: { address: '10.0.0.1', port: 40000 }, mark: 0, device: 'b' }]);
    expect(tap.received.map(({ bytes }) => bytes)).toEqual([frame]);
    expect([a.stats.tx_packets, b.stats.rx_packets]).toEqual([1, 1]);
    b.up = false;
    expect(a.transmit(frame).outcome).toBe('dropped');
    state.init.removeDevice(a);
    expect(other.byName('b')).toBeUndefined();
    expect(state.skbs.inUse).toBe(0);
  });

  test('a frame for somebody else reaches no UDP socket', () => {
    const { state } = boot();
    const [, b] = state.init.addVeth({ name: 'a' }, { name: 'b', addresses: ['10.0.0.2/24'] });
    const socket = new Socket(state.init, { type: 'udp', port: 53 });
    b.receive(udp({ dst: '02:99:99:99:99:99' }));
    b.receive(udp({ dst: b.mac, daddr: '10.0.0.9' }));
    b.receive(udp({ dst: b.mac, dport: 54 }));
    expect(socket.received).toEqual([]);
    socket.close();
  });
});

test('the longest prefix wins, then the lower metric', () => {
  const { state } = boot();
  const { init } = state;
  const [a, b] = [init.addDevice({ name: 'a', addresses: ['10.0.0.1/24'] }), init.addDevice({ name: 'b' })];
  init.addRoute({ dst: '0.0.0.0/0', dev: a, via: '10.0.0.254' });
  init.addRoute({ dst: '192.168.0.0/16', dev: b, metric: 5 });
  init.addRoute({ dst: '192.168.0.0/16', dev: a, metric: 1 });
  init.addRoute({ dst: '192.168.7.0/24', dev: b, type: 'blackhole' });
  const ask = (...address: number[]): unknown => {
    const found = fibLookup(init, Uint8Array.from(address));
    return found && [found.type, found.dev.name, found.gateway];
  };
  expect(ask(10, 0, 0, 7)).toEqual(['unicast', 'a', false]);
  expect(ask(10, 0, 0, 1)).toEqual(['local', 'a', false]);
  expect(ask(8, 8, 8, 8)).toEqual(['unicast', 'a', true]);
  expect(ask(192, 168, 1, 1)).toEqual(['unicast', 'a', false]);
  expect(ask(192, 168, 7, 1)).toEqual(['blackhole', 'b', false]);
});

test('frames that are too short or come to a device that is down are dropped', () => {
  const { state } = boot();
  const device = state.init.addDevice();
  expect(device.receive(new Uint8Array(13)).outcome).toBe('dropped');
  device.up = false;
  expect(device.receive(udp()).outcome).toBe('dropped');
  expect(device.stats.rx_dropped).toBe(2);
  expect(state.skbs.inUse).toBe(0);
});
