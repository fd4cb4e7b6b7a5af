import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { checkBtf, dumpC, isBtfError, parseBtf, parseBtfExt } from '@libbpf-ts/btf';
import { build, everyKind, refused } from './check-cases.ts';

const RUNS = process.env['LIBBPF_TS_LONG'] ? 10_000 : 1_000;

describe('the verdicts of BPF_BTF_LOAD', () => {
  test.each(refused)('refuses %s', (_, bytes, expected) => {
    const verdict = checkBtf(bytes);
    expect(verdict.ok ? 'accepted' : `${verdict.errno} ${verdict.detail}`).toBe(expected);
  });

  test('accepts every kind', () => {
    expect(checkBtf(everyKind)).toMatchObject({ ok: true });
  });
});

describe('mutated bytes', () => {
  const original = build((b, { int, u8 }) => {
    const s = b.struct('flow', 12, [
      { name: 'a', type: int, bit_offset: 0 },
      { name: 'b', type: b.array(u8, 8, int), bit_offset: 32 },
    ]);
    b.func('f', b.funcProto(int, [{ name: 'flow', type: b.ptr(s) }]));
    b.enum('e', { A: 1, B: -1 });
    b.datasec('.bss', 12, [{ type: b.variable('v', s), offset: 0, size: 12 }]);
  });
  const mutated = fc.array(fc.tuple(fc.nat(original.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }).map((edits) => {
    const bytes = original.slice();
    edits.forEach(([at, value]) => {
      bytes[at] = value;
    });
    return bytes;
  });
  const onlyBtfErrors = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      if (!isBtfError(error)) throw error;
    }
  };

  test('are judged without an exception', () => {
    fc.assert(
      fc.property(mutated, (bytes) => typeof checkBtf(bytes).ok === 'boolean'),
      { numRuns: RUNS },
    );
  });
  test('throw nothing but BtfError when read, walked and printed', () => {
    fc.assert(
      fc.property(mutated, (bytes) =>
        onlyBtfErrors(() => {
          const btf = parseBtf(bytes);
          for (const type of btf.types()) onlyBtfErrors(() => void dumpC(btf, [type.id]));
        }),
      ),
      { numRuns: RUNS },
    );
  });
  test('throw nothing but BtfError as .BTF.ext', () => {
    const btf = parseBtf(original);
    const ext = new Uint8Array(80);
    const view = new DataView(ext.buffer);
    [0x0001eb9f, 32, 0, 20, 20, 28, 0, 0, 8, 1, 1, 0, 5].forEach((word, i) => view.setUint32(i * 4, word, true));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(79), fc.nat(255)), { maxLength: 5 }), (edits) => {
        const bytes = ext.slice();
        edits.forEach(([at, value]) => {
          bytes[at] = value;
        });
        onlyBtfErrors(() => void parseBtfExt(bytes, btf));
      }),
      { numRuns: RUNS },
    );
  });
});
