import { BPF_F_AFTER, BPF_F_BEFORE, BPF_F_ID, BPF_F_LINK, BPF_F_REPLACE, isKernelError } from '@libbpf-ts/uapi';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { attach, detach, emptyList, MPROG_CAPACITY, type MprogItem, type MprogList } from '../src/list.ts';

interface Prog {
  readonly id: number;
}
interface Link {
  readonly name: string;
}
type List = MprogList<Prog, Link>;

const progs = Array.from({ length: 80 }, (_, id): Prog => ({ id }));
const prog = (name: string): Prog => progs[name.startsWith('n') ? Number(name.slice(1)) : name.charCodeAt(0) - 97]!;
const links = new Map<string, Link>();
const linkOf = (name: string): Link => links.get(name) ?? (links.set(name, { name }), links.get(name)!);

/** "a b*" is program a without a link, then program b owned by its link. */
const item = (text: string): MprogItem<Prog, Link> => ({
  prog: prog(text[0]!),
  link: text.endsWith('*') ? linkOf(text[0]!) : null,
});
const listOf = (text: string, revision = 5n): List => ({ revision, items: text.split(' ').filter(Boolean).map(item) });
const show = (list: List): string =>
  list.items.map(({ prog: { id }, link }) => `${String.fromCharCode(97 + id)}${link ? '*' : ''}`).join(' ');
const full = (count = MPROG_CAPACITY): List => ({
  revision: 1n,
  items: progs.slice(0, count).map((p) => ({ prog: p, link: null })),
});

const FLAGS: Record<string, number> = {
  before: BPF_F_BEFORE,
  after: BPF_F_AFTER,
  replace: BPF_F_REPLACE,
  id: BPF_F_ID,
  link: BPF_F_LINK,
};

interface Request {
  readonly add?: string;
  readonly del?: string;
  readonly flags?: string;
  readonly rel?: string;
  readonly replace?: string;
  readonly revision?: bigint;
}

function outcome(list: List, request: Request): string {
  const flags = (request.flags ?? '')
    .split(' ')
    .filter(Boolean)
    .reduce((bits, name) => bits | (FLAGS[name] ?? Number(name)), 0);
  const anchor = request.rel ? () => item(request.rel!) : undefined;
  const common = { flags, anchor, expectedRevision: request.revision };
  try {
    if (request.add === undefined) {
      const named = request.del ? item(request.del) : undefined;
      return show(detach(list, { ...common, prog: named?.prog, link: named?.link ?? null }).list);
    }
    const replaces = request.replace === undefined ? undefined : item(request.replace);
    return show(attach(list, { ...common, ...item(request.add), replaces }));
  } catch (error) {
    if (isKernelError(error)) return error.code;
    throw error;
  }
}

test.each<[rule: string, given: string, request: Request, result: string]>([
  ['appends by default', 'a b', { add: 'c' }, 'a b c'],
  ['prepends with BEFORE alone', 'a b', { add: 'c', flags: 'before' }, 'c a b'],
  ['appends with AFTER alone', 'a b', { add: 'c', flags: 'after' }, 'a b c'],
  ['goes before its anchor', 'a b', { add: 'c', flags: 'before', rel: 'b' }, 'a c b'],
  ['goes after its anchor', 'a b', { add: 'c', flags: 'after', rel: 'a' }, 'a c b'],
  ['finds a linked anchor by its program', 'a b*', { add: 'c', flags: 'before', rel: 'b' }, 'a c b*'],
  ['finds an anchor by its link', 'a b*', { add: 'c', flags: 'after', rel: 'b*' }, 'a b* c'],
  ['does not find a plain program by a link', 'a b', { add: 'c', flags: 'after', rel: 'b*' }, 'ENOENT'],
  ['refuses an anchor that is elsewhere', 'a b', { add: 'c', flags: 'before', rel: 'd' }, 'ENOENT'],
  ['refuses BEFORE with AFTER', 'a b', { add: 'c', flags: 'before after' }, 'ERANGE'],
  ['refuses BEFORE with AFTER on an empty hook', '', { add: 'c', flags: 'before after' }, 'ERANGE'],
  ['refuses a stale revision', 'a b', { add: 'c', revision: 9n }, 'ESTALE'],
  ['compares all 64 bits of the revision', 'a b', { add: 'c', revision: 5n + (1n << 32n) }, 'ESTALE'],
  ['takes the expected revision', 'a b', { add: 'c', revision: 5n }, 'a b c'],
  ['names a stale revision before a double', 'a b', { add: 'a', revision: 9n }, 'ESTALE'],
  ['refuses a program twice', 'a b', { add: 'a' }, 'EEXIST'],
  ['refuses a linked program a second time', 'a b*', { add: 'b' }, 'EEXIST'],
  ['refuses to replace a program by itself', 'a b', { add: 'a', flags: 'replace', replace: 'a' }, 'EEXIST'],
  ['refuses an anchor without a direction', 'a b', { add: 'c', rel: 'a' }, 'EINVAL'],
  ['refuses a flag without a direction', 'a b', { add: 'c', flags: 'id' }, 'EINVAL'],
  ['accepts unknown bits beside a direction', 'a b', { add: 'c', flags: '0x80000040 before' }, 'c a b'],
  ['refuses unknown bits alone', 'a b', { add: 'c', flags: '0x40' }, 'EINVAL'],
  ['replaces in place', 'a b', { add: 'c', flags: 'replace', replace: 'a' }, 'c b'],
  ['ignores the replace target without REPLACE', 'a b', { add: 'c', replace: 'd' }, 'a b c'],
  ['refuses to replace what is not there', 'a b', { add: 'c', flags: 'replace', replace: 'd' }, 'ENOENT'],
  ['a non-link cannot replace a link', 'a b*', { add: 'c', flags: 'replace', replace: 'b' }, 'EBUSY'],
  ['a link cannot replace a non-link', 'a b*', { add: 'c*', flags: 'replace', replace: 'a*' }, 'EBUSY'],
  ['a link has nothing to replace', 'a b*', { add: 'c*', flags: 'replace' }, 'ENOENT'],
  ['REPLACE with a lone anchor only resolves it', 'a b', { add: 'c', flags: 'replace', replace: 'a', rel: 'd' }, 'c b'],
  ['REPLACE|BEFORE asserts the place', 'a b', { add: 'c', flags: 'replace before', replace: 'a', rel: 'b' }, 'c b'],
  ['REPLACE|AFTER asserts the place', 'a b', { add: 'c', flags: 'replace after', replace: 'b', rel: 'a' }, 'a c'],
  ['REPLACE|AFTER refuses the wrong place', 'a b', { add: 'c', flags: 'replace after', replace: 'a', rel: 'b' }, 'ERANGE'],
  ['REPLACE|BEFORE alone never agrees', 'a b', { add: 'c', flags: 'replace before', replace: 'a' }, 'ERANGE'],
  ['detaches exactly', 'a b c', { del: 'b' }, 'a c'],
  ['detaches from the back by default', 'a b c', {}, 'a b'],
  ['detaches from the front with BEFORE', 'a b c', { flags: 'before' }, 'b c'],
  ['detaches from the back with AFTER', 'a b c', { flags: 'after' }, 'a b'],
  ['detaches what is left of the anchor', 'a b c', { flags: 'before', rel: 'c' }, 'a c'],
  ['detaches what is right of the anchor', 'a b c', { flags: 'after', rel: 'a' }, 'a c'],
  ['detaches the anchor itself at the front', 'a b c', { flags: 'before', rel: 'a' }, 'b c'],
  ['detaches the anchor itself at the back', 'a b c', { flags: 'after', rel: 'c' }, 'a b'],
  ['detaches with an agreeing place', 'a b c', { del: 'b', flags: 'before', rel: 'c' }, 'a c'],
  ['refuses a disagreeing place', 'a b c', { del: 'a', flags: 'after', rel: 'c' }, 'ERANGE'],
  ['front never agrees with the first program', 'a b c', { del: 'a', flags: 'before' }, 'ERANGE'],
  ['back never agrees with the last program', 'a b c', { del: 'c', flags: 'after' }, 'ERANGE'],
  ['detach with a lone anchor only resolves it', 'a b c', { del: 'b', rel: 'd' }, 'a c'],
  ['refuses a lone anchor without a program', 'a b c', { rel: 'a' }, 'EINVAL'],
  ['refuses REPLACE in a detach', 'a b c', { del: 'a', flags: 'replace' }, 'EINVAL'],
  ['refuses to detach what is not there', 'a b c', { del: 'd' }, 'ENOENT'],
  ['refuses to detach a linked program', 'a b* c', { del: 'b' }, 'EBUSY'],
  ['refuses to detach a linked program by its place', 'a* b', { flags: 'before' }, 'EBUSY'],
  ['a link detaches its own program', 'a b* c', { del: 'b*' }, 'a c'],
  ['nothing to detach', '', {}, 'ENOENT'],
  ['a stale revision wins over an empty list', '', { revision: 9n }, 'ESTALE'],
])('%s', (_, given, request, result) => expect(outcome(listOf(given), request)).toBe(result));

describe('a full hook', () => {
  test.each<[rule: string, request: Request, result: string]>([
    ['refuses one more', { add: 'n70' }, 'ERANGE'],
    ['refuses one more before its anchor', { add: 'n70', flags: 'before', rel: 'f' }, 'ERANGE'],
    ['is full before the anchor is looked for', { add: 'n70', flags: 'before', rel: 'z' }, 'ERANGE'],
    ['cannot detach from the back', {}, 'ERANGE'],
    ['cannot detach right of the last', { flags: 'after' }, 'ERANGE'],
  ])('%s', (_, request, result) => {
    const progNamed = request.add === 'n70' ? { ...request, add: 'n70' } : request;
    const run = (): unknown =>
      progNamed.add
        ? attach(full(), {
            prog: progs[70]!,
            link: null,
            flags: progNamed.flags ? BPF_F_BEFORE : 0,
            anchor: progNamed.rel ? () => ({ prog: progs[progNamed.rel === 'z' ? 75 : 5]!, link: null }) : undefined,
          })
        : detach(full(), { link: null, flags: progNamed.flags ? BPF_F_AFTER : 0 });
    expect(run).toThrow(new RegExp(`^${result}`));
  });

  test('replaces, and detaches from the front and exactly', () => {
    const replaced = attach(full(), {
      prog: progs[70]!,
      link: null,
      flags: BPF_F_REPLACE,
      replaces: { prog: progs[62]!, link: null },
    });
    expect(replaced.items.at(-1)!.prog.id).toBe(70);
    expect(detach(full(), { link: null, flags: BPF_F_BEFORE }).removed.prog.id).toBe(0);
    expect(detach(full(), { link: null, flags: 0, prog: progs[62]! }).removed.prog.id).toBe(62);
    expect(detach(full(62), { link: null, flags: 0 }).removed.prog.id).toBe(61);
  });
});

test('resolves the anchor after the double and before the replace target', () => {
  const order: string[] = [];
  const anchor = (): undefined => void order.push('anchor');
  expect(() => attach(listOf('a'), { prog: prog('a'), link: null, flags: 0, anchor })).toThrow(/^EEXIST/);
  expect(order).toEqual([]);
  expect(() => attach(listOf('a'), { prog: prog('b'), link: null, flags: BPF_F_REPLACE, anchor })).toThrow(/^ENOENT/);
  expect(order).toEqual(['anchor']);
});

test('a refused request changes nothing; an accepted one counts the revision by one', () => {
  const names = ['a', 'b', 'c', 'd', 'a*', 'b*', 'c*', 'd*'];
  const flags = ['', 'before', 'after', 'replace', 'before after', 'replace before', 'id'];
  const request = fc.record({
    kind: fc.boolean(),
    name: fc.constantFrom(...names),
    flags: fc.constantFrom(...flags),
    rel: fc.option(fc.constantFrom(...names), { nil: undefined }),
    replace: fc.constantFrom(...names),
  });
  fc.assert(
    fc.property(fc.array(request, { maxLength: 40 }), (requests) => {
      let list: List = emptyList();
      for (const { kind, name, flags: bits, rel, replace } of requests) {
        const before = JSON.stringify(list.items);
        const number = bits
          .split(' ')
          .filter(Boolean)
          .reduce((sum, flag) => sum | FLAGS[flag]!, 0);
        const anchor = rel ? () => item(rel) : undefined;
        let next: List | undefined;
        try {
          next = kind
            ? attach(list, { ...item(name), flags: number, anchor, replaces: item(replace) })
            : detach(list, { ...item(name), flags: number, anchor }).list;
        } catch (error) {
          if (!isKernelError(error)) throw error;
        }
        expect(JSON.stringify(list.items)).toBe(before);
        if (!next) continue;
        expect(next.revision).toBe(list.revision + 1n);
        expect(new Set(next.items.map((each) => each.prog)).size).toBe(next.items.length);
        list = next;
      }
    }),
    { numRuns: 200 },
  );
});
