import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  checksum,
  ethernet,
  ETH_P_8021AD,
  ETH_P_IP,
  ETH_P_IPV6,
  icmpEcho,
  ipBytes,
  IPPROTO_TCP,
  IPPROTO_UDP,
  ipText,
  macBytes,
  macText,
  readFrame,
  tcp,
  udp,
} from '../src/index.ts';

test.each<[what: string, frame: Uint8Array, info: Record<string, unknown>]>([
  [
    'UDP',
    udp({ sport: 1, dport: 2 }),
    { etherType: ETH_P_IP, protocol: IPPROTO_UDP, network: 14, transport: 34, sport: 1, dport: 2 },
  ],
  [
    'UDP over IPv6',
    udp({ saddr: 'fd00::1', dport: 53 }),
    { etherType: ETH_P_IPV6, protocol: IPPROTO_UDP, transport: 54, dport: 53 },
  ],
  [
    'TCP behind two tags',
    tcp({ vlan: [{ tci: 1, proto: ETH_P_8021AD }, { tci: 2 }], dport: 80 }),
    { etherType: ETH_P_IP, protocol: IPPROTO_TCP, network: 22, dport: 80 },
  ],
  ['ICMP', icmpEcho(), { protocol: 1, transport: 34 }],
  ['something else', ethernet(0x88b5, new Uint8Array(4)), { etherType: 0x88b5, network: 14 }],
  ['a cut header', udp().subarray(0, 30), { etherType: ETH_P_IP, network: 14 }],
  ['nothing', new Uint8Array(0), { etherType: 0 }],
])('reads %s', (_, frame, info) => expect(readFrame(frame)).toMatchObject(info));

test('checksums of what is built are right', () => {
  const frame = udp({ payload: 'odd' });
  expect(checksum(frame.subarray(14, 34))).toBe(0);
  const pseudo = Uint8Array.of(...frame.subarray(26, 34), 0, 17, 0, 11);
  expect(checksum(Uint8Array.of(...pseudo, ...frame.subarray(34)))).toBe(0);
});

describe('addresses', () => {
  test.each([
    ['10.0.0.1', '10.0.0.1'],
    ['::', '::'],
    ['::1', '::1'],
    ['fd00::2', 'fd00::2'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['1::', '1::'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
  ])('%s', (given, text) => expect(ipText(ipBytes(given))).toBe(text));
  test.each(['1.2.3', '1.2.3.256', '1:2:3', '1:2:3:4:5:6:7:8:9'])('refuses %s', (text) =>
    expect(() => ipBytes(text)).toThrow(RangeError),
  );
  test('IPv6 text means the same bytes again', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        (bytes) => void expect(ipBytes(ipText(bytes))).toEqual(bytes),
      ),
    );
  });
  test('MAC addresses', () => {
    expect(macText(macBytes('02:00:0a:0b:0c:ff'))).toBe('02:00:0a:0b:0c:ff');
    expect(() => macBytes('02:00')).toThrow(RangeError);
  });
});

test('any bytes can be read', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => void expect(readFrame(bytes).network).toBeGreaterThan(0)));
});
