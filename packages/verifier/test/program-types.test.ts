/** The tables of program types against what the live kernel answered (tools/oracle/record_*.py): no difference is allowed. */

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { CtxAccess, VerifierCapabilities } from '@libbpf-ts/verifier';
import { capabilitiesOf } from './support/case.ts';
import { ALL, factsOf, variant } from './support/program-types.ts';
import type { Variant } from './support/program-types.ts';

const oracle = <T>(name: string): T => JSON.parse(readFileSync(new URL(`oracle/${name}.json`, import.meta.url), 'utf8')) as T;

const VARIANTS = Object.entries(oracle<Record<string, Omit<Variant, 'ops' | 'name'>>>('variants')).map(([name, row]) =>
  variant(row, name),
);

type Matrix = Record<string, string>;
const helpers = oracle<{ gpl: Matrix; other: Matrix; caps: Record<string, Matrix> }>('helpers');

/** The letter that the recorder would have written for this helper (see record_helpers.py). */
function letter(of: Variant, id: number, gplCompatible: boolean, capabilities: VerifierCapabilities): string {
  const prog = factsOf(of, gplCompatible, capabilities);
  const proto = of.ops.funcProto(id, prog);
  if (!proto) return 'n';
  if (proto.gpl_only && !gplCompatible) return 'g';
  if (proto.might_sleep && !prog.sleepable) return 's';
  return 'y';
}

/** Helpers whose answer differs, as `id:recorded/ours`. Loads refused before any instruction (p) say nothing. */
function differences(of: Variant, recorded: string, gplCompatible: boolean, caps: VerifierCapabilities): string[] {
  return [...recorded].flatMap((said, id) => {
    const expected = said === 'a' || said === 'u' ? 'n' : said;
    const ours = letter(of, id, gplCompatible, caps);
    return said === 'p' || ours === expected ? [] : [`${id}:${said}/${ours}`];
  });
}

describe.each(VARIANTS)('$name', (of) => {
  test('calls the helpers that the kernel lets it call', () => {
    expect(differences(of, helpers.gpl[of.name]!, true, ALL)).toEqual([]);
    expect(differences(of, helpers.other[of.name]!, false, ALL)).toEqual([]);
  });

  test.each(Object.keys(helpers.caps))('the same with only %s', (names) => {
    expect(differences(of, helpers.caps[names]![of.name]!, true, capabilitiesOf(names))).toEqual([]);
  });
});

type Table = { read: Record<string, [number, number, string][]>; write: Record<string, [number, number][]> };
const { contexts } = oracle<{ contexts: Record<string, Table | string> }>('context');

function tableOf(name: string): Table {
  const found = contexts[name]!;
  return typeof found === 'string' ? tableOf(found) : found;
}

const KIND: Readonly<Record<string, string>> = {
  PTR_TO_PACKET: 'pkt',
  PTR_TO_PACKET_END: 'pkt_end',
  PTR_TO_PACKET_META: 'pkt_meta',
  PTR_TO_SOCKET: 'sock',
  PTR_TO_SOCK_COMMON: 'sock_common',
  PTR_TO_FLOW_KEYS: 'flow_keys',
  PTR_TO_TP_BUFFER: 'tp_buffer',
  PTR_TO_BUF: 'buf',
};

/** How the kernel's log would print the register. */
function printed(access: CtxAccess): string {
  if (!access.reg || access.reg === 'SCALAR_VALUE') return 'scalar';
  const flags = access.flags ?? [];
  const prefix = (flags.includes('PTR_TRUSTED') ? 'trusted_' : '') + (flags.includes('MEM_RDONLY') ? 'rdonly_' : '');
  const suffix = flags.includes('PTR_MAYBE_NULL') ? '_or_null' : '';
  return access.reg === 'PTR_TO_BTF_ID' ? `${prefix}ptr${suffix}_${access.btfStruct}` : `${prefix}${KIND[access.reg]}${suffix}`;
}

const OFFSETS = [
  ...Array.from({ length: 408 }, (_, index) => index - 8),
  -32768,
  -4096,
  -16,
  512,
  1024,
  2032,
  2040,
  2048,
  2056,
  4096,
  8192,
  32752,
];

function expand<T>(rows: readonly (readonly [number, number, ...T[]])[]): Map<number, T | undefined> {
  const out = new Map<number, T | undefined>();
  for (const [first, last, kind] of rows) for (let off = first; off <= last; off++) out.set(off, kind);
  return out;
}

/** Types whose context BTF describes are the verifier's business, not a table's; a context of a refused attach type says nothing. */
const TABLED = VARIANTS.filter((of) => !of.ops.btfContext);

describe.each(TABLED)('the context of $name', (of) => {
  const prog = factsOf(of);
  const table = tableOf(of.name);

  test.each([1, 2, 4, 8, -1, -2, -4])('reads of %i bytes (negative: with sign extension)', (size) => {
    const recorded = expand(table.read[String(size)]!);
    const wrong = OFFSETS.flatMap((off) => {
      const access = of.ops.isValidAccess(off, Math.abs(size), false, prog);
      const ours = access && !(size < 0 && printed(access) !== 'scalar') ? printed(access) : undefined;
      const theirs = recorded.get(off)?.replace(/\(.*/, '');
      return ours === theirs ? [] : [`${off}: ${theirs} / ${ours}`];
    });
    expect(wrong).toEqual([]);
  });

  test.each([1, 2, 4, 8])('writes of %i bytes', (size) => {
    const recorded = expand(table.write[String(size)]!);
    const wrong = OFFSETS.filter((off) => (of.ops.isValidAccess(off, size, true, prog) !== undefined) !== recorded.has(off));
    expect(wrong).toEqual([]);
  });
});

type Returns = { values: Record<string, string>; unknown: [string, string] };
const returned = oracle<{ returns: Record<string, Returns>; attach_types: Record<string, string[] | string> }>('returns');

describe.each(VARIANTS.filter((of) => Object.values(returned.returns[of.name]!.values).includes('OK')))(
  'what $name returns',
  (of) => {
    test('is in the range that the kernel asks for', () => {
      const range = of.ops.returnRange?.(factsOf(of));
      const wrong = Object.entries(returned.returns[of.name]!.values).filter(([value, said]) => {
        const allowed = !range || (Number(value) >= range.min && Number(value) <= range.max);
        return allowed !== (said === 'OK');
      });
      expect(wrong).toEqual([]);
    });
  },
);

const kfuncMatrix = oracle<{ kfuncs: string[]; allowed: Matrix }>('kfuncs');

describe.each(VARIANTS)('kfuncs of $name', (of) => {
  test('are those that the kernel lets it call', () => {
    const prog = factsOf(of);
    const wrong = kfuncMatrix.kfuncs.filter((name, index) => {
      const said = kfuncMatrix.allowed[of.name]![index];
      const allowed = of.ops.kfuncs?.has(name) === true && of.ops.kfuncFilter?.(name, prog) !== true;
      return said !== 'p' && allowed !== (said !== 'n');
    });
    expect(wrong).toEqual([]);
  });
});

describe('expected attach types', () => {
  const single = VARIANTS.filter((of) => !of.ops.btfContext && of.ops.name !== 'syscall');
  const types = [...new Map(single.map((of) => [of.prog_type, of])).values()];
  test.each(types)('$name and its kin load with those that the kernel takes', (of) => {
    const recorded = Object.values(returned.attach_types)[of.prog_type]!;
    const wrong = Array.from({ length: 64 }, (_, attach) => attach).filter((attach) => {
      const said = typeof recorded === 'string' ? recorded : recorded[attach];
      const ours = of.ops.checkAttach?.(factsOf({ ...of, attach_type: attach }))?.errno ?? 'OK';
      return said !== ours;
    });
    expect(wrong).toEqual([]);
  });
});
