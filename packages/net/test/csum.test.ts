/** Sums of all ones and of zeros are the same number in one's complement, but not the same bits. */

import { expect, test } from 'vitest';
import { csumPartial, from32to16 } from '../src/helpers/csum.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

/** Linux 6.18.44 gives 0 for bpf_csum_diff from ff ff ff ff to eight zeros, and 0xffff the other way. */
test.each<[given: string, sum: number]>([
  ['', 0],
  ['0000000000000000', 0],
  ['ffffffff', 0xffff_ffff],
  ['ffffffffffffffff', 0xffff_ffff],
  ['ffff', 0xffff],
  ['ffffffffff', 0xff],
  ['0100000002', 3],
])('%s', (given, sum) => {
  const data = bytes(given);
  expect(csumPartial(data, 0, data.length, 0)).toBe(sum);
});

test('folding keeps all ones apart from zero', () => {
  expect(from32to16(0xffff_ffff)).toBe(0xffff);
  expect(from32to16(0)).toBe(0);
});
