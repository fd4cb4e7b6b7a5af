/** A typo in every argument of attach() and of tc requests: on both kernels the errno, the argument to blame and the failed check in words. */

import { linuxKernel, NetNamespace } from '@libbpf-ts/linux';
import { noLiveKernel } from '@libbpf-ts/testkit';
import { TC_H_MIN_INGRESS, type Syscalls } from '@libbpf-ts/uapi';
import {
  attachWithoutLink,
  createKernel,
  detachWithoutLink,
  isBpfError,
  linkId,
  load,
  parseObject,
  tcx,
  trafficControl,
  type Hook,
  type Program,
  type TrafficControl,
} from 'libbpf-ts';
import { describe, expect, test, type TestContext } from 'vitest';

import { objectBytes } from './objects.ts';

const spec = parseObject(objectBytes('rings'), { name: 'rings' });
const place = { ifindex: 1, parent: TC_H_MIN_INGRESS };
const copy = { kind: 'mirred', mode: 'mirror', direction: 'egress' } as const;

/** `p` is on the hook by a link, `q` is nowhere. */
interface Scene {
  readonly sys: Syscalls;
  readonly p: Program;
  readonly q: Program;
  readonly hook: Hook;
  readonly tc: TrafficControl;
}

type Row = [what: string, code: string, arg: RegExp, words: RegExp, act: (scene: Scene) => unknown, withQdisc?: boolean];

const rows: readonly Row[] = [
  [
    'a stale revision',
    'ESTALE',
    /^expected_revision$/,
    /the hook is at revision 2, expected 9/,
    ({ q, hook }) => q.attach(hook, { expectedRevision: 9n }),
  ],
  ['a program that is there', 'EEXIST', /^prog_fd$/, /is on this hook already/, ({ p, hook }) => p.attach(hook)],
  [
    'a link that is nowhere, as anchor',
    'ENOENT',
    /^relative_(id|fd)$/,
    /link/,
    ({ q, hook }) => q.attach(hook, { before: linkId(99_999_999) }),
  ],
  [
    'a program that is not there, as anchor',
    'ENOENT',
    /^relative_fd$/,
    /not on this hook/,
    ({ q, hook }) => q.attach(hook, { before: q }),
  ],
  ['an unknown flag', 'EINVAL', /^attach_flags$/, /flag/, ({ q, hook }) => q.attach(hook, { flags: 0x400 })],
  [
    'an unknown device',
    'ENODEV',
    /^target_ifindex$/,
    /no device has the ifindex 999/,
    ({ sys, q }) => q.attach(tcx(sys, 999, 'ingress')),
  ],
  [
    'an unknown name',
    'ENODEV',
    /^target_ifindex$/,
    /no network device is called nosuch/,
    ({ sys, q }) => q.attach(tcx(sys, 'nosuch', 'ingress')),
  ],
  [
    'a link to take the place of',
    'ENOENT',
    /^replace_bpf_fd$/,
    /not on this hook/,
    ({ p, q, hook }) => q.attach(hook, { replace: p }),
  ],
  [
    'without a link, what a link holds',
    'EBUSY',
    /^.*$/,
    /link/,
    ({ p, q, hook }) => attachWithoutLink(q, hook, { replace: p }),
  ],
  [
    'without a link, a stale revision',
    'ESTALE',
    /^expected_revision$/,
    /at revision 2, expected 9/,
    ({ q, hook }) => attachWithoutLink(q, hook, { expectedRevision: 9n }),
  ],
  [
    'detaching what is not there',
    'ENOENT',
    /^(replace_bpf|prog)_fd$/,
    /not on this hook/,
    ({ q, hook }) => detachWithoutLink(q, hook),
  ],
  [
    'a filter without a qdisc',
    'EINVAL',
    /^parent$/,
    /Parent Qdisc/,
    ({ q, tc }) => tc.attach(q, { ...place, ifindex: 1 }),
    false,
  ],
  [
    'an unknown kind of qdisc',
    'ENOENT',
    /^kind$/,
    /Specified qdisc kind is unknown/,
    ({ tc }) => tc.addQdisc({ ifindex: 1, kind: 'nosuch' }),
    false,
  ],
  [
    'a qdisc on an unknown device',
    'ENODEV',
    /^ifindex$/,
    /no device has the ifindex 999/,
    ({ tc }) => tc.addQdisc({ ifindex: 999, kind: 'clsact' }),
  ],
  ['a second qdisc', 'EEXIST', /^kind$/, /Exclusivity flag on/, ({ tc }) => tc.addQdisc({ ifindex: 1, kind: 'clsact' })],
  ['unknown flags of a filter', 'EINVAL', /^flags$/, /flags 0x4 are unknown/, ({ q, tc }) => tc.attach(q, place, { flags: 4 })],
  [
    'unknown general flags',
    'EINVAL',
    /^flagsGen$/,
    /skip_hw, skip_sw or neither/,
    ({ q, tc }) => tc.attach(q, place, { flagsGen: 3 }),
  ],
  ['skip_sw', 'EOPNOTSUPP', /^flagsGen$/, /no hardware/, ({ q, tc }) => tc.attach(q, place, { flagsGen: 2 })],
  ['a long name', 'EINVAL', /^name$/, /at most 256 bytes/, ({ q, tc }) => tc.attach(q, place, { name: 'x'.repeat(300) })],
  ['a large chain', 'EINVAL', /^chain$/, /exceeds upper limit/, ({ q, tc }) => tc.attach(q, { ...place, chain: 0x1000_0000 })],
  ['no protocol', 'EINVAL', /^protocol$/, /protocol must be specified/, ({ q, tc }) => tc.attach(q, place, { protocol: 0 })],
  ['no kind', 'EINVAL', /^kind$/, /kind and protocol/, ({ q, tc }) => tc.attach(q, place, { kind: '' })],
  ['an unknown kind', 'ENOENT', /^kind$/, /TC classifier not found/, ({ q, tc }) => tc.attach(q, place, { kind: 'nosuch' })],
  [
    'an fd that is not open',
    'EBADF',
    /^fd$/,
    /fd 999 is not open/,
    ({ tc }) => tc.addFilter({ ...place, protocol: 3, create: true, fd: 999 }),
  ],
  [
    'neither program nor instructions',
    'EINVAL',
    /^fd$/,
    /either a program or classic instructions/,
    ({ tc }) => tc.addFilter({ ...place, protocol: 3, create: true }),
  ],
  ['a parent that is none', 'EINVAL', /^parent$/, /Parent Qdisc/, ({ q, tc }) => tc.attach(q, { ...place, parent: 5 })],
  [
    'a block that is none',
    'EINVAL',
    /^block$/,
    /Block of given index was not found/,
    ({ q, tc }) => tc.attach(q, { block: 77 }),
  ],
  [
    'deleting from a chain that is not there',
    'ENOENT',
    /^chain$/,
    /Cannot find specified filter chain/,
    ({ tc }) => tc.deleteFilter({ ...place, prio: 3 }),
  ],
  ['deleting by handle alone', 'ENOENT', /^.*$/, /Cannot flush filters/, ({ tc }) => tc.deleteFilter({ ...place, handle: 3 })],
  [
    'the target of an action',
    'ENODEV',
    /^(actions|ifindex)$/,
    /999/,
    ({ q, tc }) => tc.attach(q, place, { actions: [{ ...copy, ifindex: 999 }] }),
  ],
  [
    'the code of an action',
    'EINVAL',
    /^actions$/,
    /invalid control action/,
    ({ q, tc }) => tc.attach(q, place, { actions: [{ ...copy, ifindex: 1, action: 99 }] }),
  ],
];

function play(sys: Syscalls, [, code, arg, words, act, withQdisc = true]: Row): void {
  using object = load(sys, spec);
  const scene = {
    sys,
    p: object.program('produce'),
    q: object.program('drain'),
    hook: tcx(sys, 'lo', 'ingress'),
    tc: trafficControl(sys),
  };
  using _ = scene.p.attach(scene.hook);
  if (withQdisc) scene.tc.addQdisc({ ifindex: 1, kind: 'clsact' });
  try {
    act(scene);
    expect.unreachable();
  } catch (error) {
    if (!isBpfError(error)) throw error;
    expect(error.code).toBe(code);
    expect(error.message).toMatch(words);
    expect(error.arg).toMatch(arg);
  }
}

test.each(rows)('in this process: %s', (...row) => play(createKernel().task('app'), row));

describe('on the running kernel', () => {
  test.for(rows)('%s', (row, context: TestContext) => {
    const reason = noLiveKernel();
    if (reason) context.skip(reason);
    const kernel = linuxKernel();
    const namespace = new NetNamespace(kernel.ffi);
    try {
      namespace.run(() => play(kernel, row));
    } finally {
      namespace[Symbol.dispose]();
    }
  });
});
