import { isPcapError, readCapture, VERDICT_TC, writePcapng } from '@libbpf-ts/pcap';
import { missingTool } from '@libbpf-ts/testkit';
import fc from 'fast-check';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const packet = (length: number, seed = 1): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * seed) & 0xff);

/** A pcap file of the given variant with one record for each packet. */
function pcap(
  variant: { littleEndian: boolean; nanoseconds: boolean; linkType?: number },
  packets: readonly Uint8Array[],
): Uint8Array {
  const bytes = new Uint8Array(24 + packets.reduce((sum, data) => sum + 16 + data.length, 0));
  const view = new DataView(bytes.buffer);
  const put = (offset: number, value: number): void => view.setUint32(offset, value, variant.littleEndian);
  put(0, variant.nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4);
  view.setUint16(4, 2, variant.littleEndian);
  view.setUint16(6, 4, variant.littleEndian);
  put(16, 65535);
  put(20, variant.linkType ?? 1);
  let offset = 24;
  for (const [index, data] of packets.entries()) {
    put(offset, 100 + index);
    put(offset + 4, 5);
    put(offset + 8, data.length);
    put(offset + 12, data.length + 10);
    bytes.set(data, offset + 16);
    offset += 16 + data.length;
  }
  return bytes;
}

describe('pcap', () => {
  test.each([
    { littleEndian: true, nanoseconds: false, first: 100_000_005_000n },
    { littleEndian: false, nanoseconds: false, first: 100_000_005_000n },
    { littleEndian: true, nanoseconds: true, first: 100_000_000_005n },
    { littleEndian: false, nanoseconds: true, first: 100_000_000_005n },
  ])('reads little endian: $littleEndian, nanoseconds: $nanoseconds', (variant) => {
    const capture = readCapture(pcap(variant, [packet(60), packet(14, 3)]));
    expect(capture).toMatchObject({ format: 'pcap', linkType: 1 });
    expect(capture.packets.map(({ data, originalLength, timestamp }) => [data.length, originalLength, timestamp])).toEqual([
      [60, 70, variant.first],
      [14, 24, variant.first + 1_000_000_000n],
    ]);
  });

  const whole = pcap({ littleEndian: true, nanoseconds: false }, [packet(60), packet(20)]);
  test.each<[what: string, bytes: Uint8Array, code: string, offset: number, text: RegExp]>([
    ['nothing', new Uint8Array(0), 'not-a-capture', 0, /neither/],
    ['an ELF file', Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2), 'not-a-capture', 0, /neither/],
    ['a cut header', whole.slice(0, 20), 'truncated', 20, /header of 24 bytes/],
    ['a cut record header', whole.slice(0, 24 + 76 + 8), 'truncated', 100, /header of packet 2/],
    ['a cut packet', whole.slice(0, 24 + 76 + 16 + 5), 'truncated', 116, /middle of packet 2: 5 of 20/],
    ['a mad length', Uint8Array.from(whole, (byte, i) => (i === 35 ? 0xff : byte)), 'malformed', 32, /packet 1 claims/],
  ])('says what is wrong with %s', (_, bytes, code, offset, text) => {
    expect(() => readCapture(bytes)).toThrow(
      expect.objectContaining({ name: 'PcapError', code, offset, message: expect.stringMatching(text) as string }),
    );
  });
});

describe('pcapng', () => {
  const packets = [
    {
      data: packet(61),
      originalLength: 61,
      timestamp: 1_700_000_000_123_456_789n,
      verdict: { kind: VERDICT_TC, code: -1n } as const,
      comment: 'next',
    },
    { data: packet(14), originalLength: 99, timestamp: 5n },
  ];
  const file = writePcapng(packets, 'eth7');

  test('reads what it wrote', () => {
    const capture = readCapture(file);
    expect(capture.format).toBe('pcapng');
    expect(
      capture.packets.map(({ data, originalLength, timestamp }) => ({ data: [...data], originalLength, timestamp })),
    ).toEqual(packets.map(({ data, originalLength, timestamp }) => ({ data: [...data], originalLength, timestamp })));
  });

  test('is cut', () => {
    expect(() => readCapture(file.slice(0, file.length - 20))).toThrow(expect.objectContaining({ code: 'truncated' }));
  });

  test('is read by tshark, verdict and comment included', (context) => {
    const missing = missingTool('tshark');
    if (missing) context.skip(missing);
    const folder = mkdtempSync(join(tmpdir(), 'pcapng-'));
    try {
      writeFileSync(join(folder, 'x.pcapng'), file);
      const fields = ['frame.time_epoch', 'frame.len', 'frame.cap_len', 'frame.comment', 'frame.verdict.ebpf_tc'];
      const text = execFileSync(
        'tshark',
        ['-r', join(folder, 'x.pcapng'), '-T', 'fields', ...fields.flatMap((field) => ['-e', field])],
        { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
      );
      expect(
        text
          .split('\n')
          .slice(0, 2)
          .map((line) => line.split('\t').slice(1)),
      ).toEqual([
        ['61', '61', 'next', '-1'],
        ['99', '14', '', ''],
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test('no mutated file throws anything untyped or hangs', () => {
  const seeds = [
    pcap({ littleEndian: true, nanoseconds: false }, [packet(60), packet(20)]),
    pcap({ littleEndian: false, nanoseconds: true }, [packet(30)]),
    writePcapng([
      { data: packet(33), originalLength: 33, timestamp: 9n, verdict: { kind: VERDICT_TC, code: 2n }, comment: 'x' },
    ]),
  ];
  const edits = fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 12 });
  fc.assert(
    fc.property(fc.constantFrom(...seeds), edits, fc.nat(400), (seed, changes, cut) => {
      const bytes = seed.slice(0, Math.max(1, seed.length - (cut % seed.length)));
      for (const [offset, value] of changes) bytes[offset % bytes.length] = value;
      try {
        readCapture(bytes);
      } catch (error) {
        if (!isPcapError(error)) throw error;
      }
    }),
    { numRuns: process.env['LIBBPF_TS_LONG'] ? 10_000 : 1_000 },
  );
});
