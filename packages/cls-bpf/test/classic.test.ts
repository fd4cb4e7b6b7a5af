import { ETH_P_ALL, icmpEcho, tcp, udp } from '@libbpf-ts/net';
import { isKernelError } from '@libbpf-ts/uapi';
import { describe, expect, test } from 'vitest';

import { addFilter, checkClassic, parseClassic, TC_H_MIN_INGRESS } from '../src/index.ts';
import { boot, clsact, leaksAfter } from '../../tcx/test/kit.ts';

/** `tcpdump -ddd` of "udp port 53" for Ethernet. */
const UDP_53 = `22
40 0 0 12
21 0 8 34525
48 0 0 20
21 2 0 132
21 1 0 6
21 0 15 17
40 0 0 54
21 12 0 53
40 0 0 56
21 10 11 53
21 0 10 2048
48 0 0 23
21 2 0 132
21 1 0 6
21 0 6 17
40 0 0 20
69 4 0 8191
177 0 0 14
72 0 0 14
21 1 0 53
72 0 0 16
6 0 0 262144`.split('\n');
/** The part of it that looks at the destination port of IPv4. */
const UDP_DST_53 = '9,40 0 0 12,21 0 5 2048,48 0 0 23,21 0 3 17,177 0 0 14,72 0 0 16,21 1 0 53,6 0 0 0,6 0 0 262144';

function matches(ops: string, frame: Uint8Array): boolean {
  const world = boot();
  clsact(world, world.dev);
  const { task, dev } = world;
  const request = {
    ifindex: dev.ifindex,
    parent: TC_H_MIN_INGRESS,
    protocol: ETH_P_ALL,
    prio: 1,
    create: true,
    ops: parseClassic(ops),
  };
  expect(addFilter(task, { ...request, actions: [{ kind: 'gact', action: 2 }] }).result).toBe(0);
  const { outcome } = dev.receive(frame);
  expect(leaksAfter(world)).toEqual([]);
  return outcome === 'dropped';
}

describe('udp dst port 53', () => {
  test.each<[string, Uint8Array, boolean]>([
    ['DNS', udp({ dport: 53 }), true],
    ['another port', udp({ dport: 54 }), false],
    ['TCP', tcp({ dport: 53 }), false],
    ['IPv6', udp({ saddr: 'fd00::1', dport: 53 }), false],
    ['ICMP', icmpEcho(), false],
    ['a cut frame', udp({ dport: 53 }).subarray(0, 30), false],
  ])('%s', (_, frame, result) => expect(matches(UDP_DST_53, frame)).toBe(result));
});

/** One program a row; it matches where A is not 0 in the end. */
test.each<[what: string, ops: string, result: boolean]>([
  ['the length', '4,128 0 0 0,21 0 1 47,6 0 0 1,6 0 0 0', true],
  ['memory', '5,0 0 0 7,2 0 0 3,0 0 0 0,96 0 0 3,22 0 0 0', true],
  ['memory is zero at first', '2,96 0 0 5,22 0 0 0', false],
  ['X in memory', '5,1 0 0 9,3 0 0 1,97 0 0 1,135 0 0 0,22 0 0 0', true],
  ['division by X = 0 does not match', '4,0 0 0 5,1 0 0 0,60 0 0 0,6 0 0 1', false],
  ['division', '5,0 0 0 12,52 0 0 4,21 0 1 3,6 0 0 1,6 0 0 0', true],
  ['shift and or', '6,0 0 0 1,100 0 0 4,68 0 0 1,21 0 1 17,6 0 0 1,6 0 0 0', true],
  ['negation', '5,0 0 0 1,132 0 0 0,21 0 1 4294967295,6 0 0 1,6 0 0 0', true],
  ['a jump over', '4,5 0 0 1,6 0 0 0,6 0 0 1,6 0 0 0', true],
  ['comparison with X', '5,0 0 0 5,1 0 0 4,45 0 1 0,6 0 0 1,6 0 0 0', true],
  ['protocol, ancillary', '4,40 0 0 4294963200,21 0 1 2048,6 0 0 1,6 0 0 0', true],
  ['the mark, ancillary', '4,32 0 0 4294963220,21 0 1 0,6 0 0 1,6 0 0 0', true],
  ['behind the end', '2,48 0 0 5000,6 0 0 1', false],
])('%s', (_, ops, result) => expect(matches(ops, udp({ payload: 'hello' }))).toBe(result));

test.each<[what: string, ops: string, message: RegExp]>([
  ['nothing', '0', /1 to 4096/],
  ['no return at the end', '1,0 0 0 1', /must return/],
  ['an unknown code', '2,255 0 0 0,6 0 0 0', /unknown code/],
  ['division by zero', '2,52 0 0 0,6 0 0 0', /division by zero/],
  ['a shift too far', '2,100 0 0 32,6 0 0 0', /shift/],
  ['memory outside', '2,96 0 0 16,6 0 0 0', /memory word/],
  ['a jump out', '2,21 1 0 0,6 0 0 0', /jump out/],
  ['a long jump out', '2,5 0 0 1,6 0 0 0', /jump out/],
  ['a wrong count', '3,6 0 0 0', /says 3 instructions/],
  ['no numbers', '1,ldh', /not a classic instruction/],
])('refuses %s', (_, ops, message) => {
  expect(() => checkClassic(parseClassic(ops))).toThrow(message);
  try {
    checkClassic(parseClassic(ops));
  } catch (error) {
    expect(isKernelError(error) && error.code).toBe('EINVAL');
  }
});

test('reads what tcpdump -ddd prints', () => expect(parseClassic(UDP_53.join('\n')).length).toBe(22));
