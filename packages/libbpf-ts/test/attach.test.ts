import { describe, expect, test } from 'vitest';
import {
  BPF_F_AFTER,
  BPF_F_BEFORE,
  BPF_F_ID,
  BPF_F_LINK,
  BPF_F_REPLACE,
  BPF_LINK_CREATE,
  BPF_PROG_ATTACH,
  BPF_PROG_QUERY,
} from '@libbpf-ts/uapi';
import { attachWithoutLink, linkId, load, parseObject, progId, tcx, xdp, type AttachOptions, type Link } from 'libbpf-ts';
import { FakeKernel } from './fake-kernel.ts';
import { objectBytes } from './objects.ts';

const spec = parseObject(objectBytes('maps'));

function attachWith(options: (link: Link) => AttachOptions): Record<string, unknown> {
  const kernel = new FakeKernel();
  using object = load(kernel, spec, { programs: ['optional'] });
  const hook = tcx(kernel, 'eth0', 'ingress');
  const first = object.program().attach(hook);
  object.program().attach(hook, options(first));
  const { attr } = kernel.of(BPF_LINK_CREATE)[1]!;
  const order = attr['tcx'] as { relative_fd: number; expected_revision: bigint };
  return {
    ...attr,
    relative: order.relative_fd === first.fd ? 'the first link' : order.relative_fd,
    revision: order.expected_revision,
  };
}

describe('anchors', () => {
  test.each<[string, (link: Link) => AttachOptions, object]>([
    ['nothing', () => ({}), { flags: 0, relative: 0, revision: 0n }],
    ['head', () => ({ at: 'head' }), { flags: BPF_F_BEFORE, relative: 0 }],
    ['tail', () => ({ at: 'tail' }), { flags: BPF_F_AFTER, relative: 0 }],
    ['before a link', (link) => ({ before: link }), { flags: BPF_F_BEFORE | BPF_F_LINK, relative: 'the first link' }],
    ['after a link id', () => ({ after: linkId(7) }), { flags: BPF_F_AFTER | BPF_F_LINK | BPF_F_ID, relative: 7 }],
    ['before a program id', () => ({ before: progId(9) }), { flags: BPF_F_BEFORE | BPF_F_ID, relative: 9 }],
    [
      'between, at one place',
      () => ({ before: progId(9), after: progId(9) }),
      { flags: BPF_F_BEFORE | BPF_F_AFTER | BPF_F_ID, relative: 9 },
    ],
    ['a revision', () => ({ expectedRevision: 5n }), { flags: 0, revision: 5n }],
  ])('%s', (_, options, expected) =>
    expect(attachWith(options)).toMatchObject({ target_ifindex: 2, attach_type: 46, ...expected }),
  );

  test('that contradict each other are refused', () => {
    expect(() => attachWith(() => ({ before: progId(1), after: progId(2) }))).toThrowError(
      expect.objectContaining({ code: 'LOADER_BAD_OPTION' }),
    );
  });
});

test('replaces a program that has no link by its file descriptor', () => {
  const kernel = new FakeKernel((cmd) => (cmd === 13 ? 77 : undefined));
  using object = load(kernel, spec, { programs: ['optional'] });
  attachWithoutLink(object.program(), tcx(kernel, 2, 'egress'), { replace: progId(4) });
  expect(kernel.of(BPF_PROG_ATTACH)[0]!.attr).toMatchObject({
    attach_type: 47,
    attach_flags: BPF_F_REPLACE,
    replace_bpf_fd: 77,
  });
});

test('a link closes with its object, and not once it is released', () => {
  const kernel = new FakeKernel();
  const object = load(kernel, spec, { programs: ['optional'] });
  const [kept, closed] = [object.program().attach(xdp(kernel, 'eth0')), object.program().attach(xdp(kernel, 'eth0'))];
  const fd = kept.release();
  object.close();
  expect([kernel.open.has(fd), closed.closed]).toEqual([true, true]);
});

test('a hook tells its programs in order', () => {
  const kernel = new FakeKernel((cmd, attr) => {
    if (cmd !== BPF_PROG_QUERY) return undefined;
    (attr['prog_ids'] as Uint32Array).set([11, 12]);
    (attr['link_ids'] as Uint32Array).set([0, 3]);
    Object.assign(attr, { count: 2, revision: 9n });
    return 0;
  });
  expect(tcx(kernel, 'eth0', 'ingress').query()).toEqual({
    revision: 9n,
    entries: [
      { prog_id: 11, link_id: 0 },
      { prog_id: 12, link_id: 3 },
    ],
  });
});

test.each<[string, (kernel: FakeKernel) => unknown, object]>([
  ['a device that is not there', (kernel) => tcx(kernel, 'eth9', 'ingress'), { code: 'ENODEV', syscall: 'if_nametoindex' }],
  [
    'a program whose section names no hook',
    (kernel) =>
      load(kernel, spec, { programs: ['tail'], pinDirectory: false })
        .program()
        .attach(),
    { code: 'LOADER_UNSUPPORTED' },
  ],
])('refuses %s', (_, work, expected) => expect(() => work(new FakeKernel())).toThrowError(expect.objectContaining(expected)));

test('a refused attach names the hook, the argument and the remedy', () => {
  const kernel = new FakeKernel((cmd) => (cmd === BPF_LINK_CREATE ? -116 : undefined));
  using object = load(kernel, spec, { programs: ['optional'] });
  expect(() => object.program().attach(tcx(kernel, 'eth0', 'ingress'), { at: 'head', expectedRevision: 3n })).toThrowError(
    expect.objectContaining({
      code: 'ESTALE',
      errno: -116,
      arg: 'expected_revision',
      hint: expect.stringContaining('query it again'),
      message: expect.stringContaining('tcx/ingress of eth0'),
    }),
  );
});
