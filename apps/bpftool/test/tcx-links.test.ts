/** The contract of tcx links, a rule a test, on the in-process kernel and on the running one. */

import { spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { noLiveKernel } from '@libbpf-ts/testkit';
import {
  BPF_F_AFTER,
  BPF_F_BEFORE,
  BPF_F_LINK,
  BPF_F_REPLACE,
  BPF_LINK_DETACH,
  BPF_LINK_GET_FD_BY_ID,
  BPF_LINK_GET_NEXT_ID,
  BPF_LINK_TYPE_TCX,
  BPF_OBJ_GET,
  BPF_OBJ_PIN,
  BPF_PROG_GET_FD_BY_ID,
  BPF_PROG_TYPE_XDP,
  BPF_TCX_EGRESS,
  BPF_TCX_INGRESS,
  cString,
  type Syscalls,
} from '@libbpf-ts/uapi';
import { describe, expect, test, type TestContext } from 'vitest';

import { inLinuxNamespace } from '../src/oracle/linux-world.ts';
import { simulatedWorld, type World } from '../src/oracle/world.ts';
import { said, TcxCalls } from './support/tcx-calls.ts';

/** Runs in a world of its own that is empty afterwards. */
type Place = (context: TestContext, work: (world: World, crash: Crash) => void) => void;
/** A process that makes a link on ingress, a pinned link on egress and an attachment without link on ingress; returns what kills it. */
type Crash = (ifindex: number, pin: string) => () => void;

const here: Place = (_, work) => {
  const world = simulatedWorld();
  work(world, (ifindex, pin) => {
    const task = world.task('holder');
    const [ingress, egress] = [BPF_TCX_INGRESS, BPF_TCX_EGRESS].map((type) => new TcxCalls(task.sys, ifindex, type));
    ingress!.link('held', ingress!.load('held'));
    const pinned = egress!.link('pinned', egress!.load('pinned'));
    task.sys.bpf(BPF_OBJ_PIN, { pathname: cString(pin), bpf_fd: pinned });
    ingress!.attach(ingress!.load('left'));
    return () => task.exit();
  });
  world.close();
  expect(world.kernel.leaks()).toEqual([]);
};

const linux: Place = (context, work) => {
  const reason = noLiveKernel();
  if (reason) context.skip(reason);
  inLinuxNamespace((make) => {
    const world = make();
    try {
      work(world, (ifindex, pin) => {
        if (spawnSync('python3', ['--version']).status !== 0) context.skip('a process to kill needs python3');
        return startHolder(ifindex, pin);
      });
    } finally {
      world.close();
    }
  });
};

/** A real process in this thread's network namespace; waited for without giving the thread back. */
function startHolder(ifindex: number, pin: string): () => void {
  const output = join(tmpdir(), `holder-${process.pid}-${Date.now()}`);
  const out = openSync(output, 'w');
  const script = fileURLToPath(new URL('support/holder.py', import.meta.url));
  const child = spawn('python3', [script, String(ifindex), pin], { stdio: ['ignore', out, out] });
  closeSync(out);
  const text = until(
    () => readFileSync(output, 'utf8'),
    (said) => said.includes('\n'),
  );
  rmSync(output);
  if (text !== 'ready\n') {
    child.kill('SIGKILL');
    throw new Error(`the holder failed: ${text}`);
  }
  return () => void child.kill('SIGKILL');
}

/** Asks until the answer fits: the kernel frees from work queues. */
function until<T>(ask: () => T, fits: (answer: T) => boolean): T {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let tries = 0; ; tries++) {
    const answer = ask();
    if (fits(answer) || tries === 1000) return answer;
    Atomics.wait(pause, 0, 0, 5);
  }
}

const alive = (sys: Syscalls, kind: 'link' | 'prog', id: number): boolean => {
  const fd =
    kind === 'link' ? sys.bpf(BPF_LINK_GET_FD_BY_ID, { link_id: id }) : sys.bpf(BPF_PROG_GET_FD_BY_ID, { prog_id: id });
  if (fd >= 0) sys.close(fd);
  return fd >= 0;
};
const gone = (sys: Syscalls, kind: 'link' | 'prog', id: number): boolean =>
  !until(
    () => alive(sys, kind, id),
    (yes) => !yes,
  );

describe.each<[string, Place]>([
  ['in this process', here],
  ['on the running kernel', linux],
])('%s', (_, place) => {
  const rule = (name: string, work: (calls: TcxCalls, world: World, crash: Crash) => void): void =>
    void test(name, (context) =>
      place(context, (world, crash) => work(new TcxCalls(world.task('app').sys, world.addDevice('d0')), world, crash)),
    );

  rule('create: at the end, or beside another; each counts the revision', (calls) => {
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => calls.load(name));
    const first = calls.link('A', a!);
    calls.link('B', b!);
    expect(calls.hook()).toBe('r3 a/A b/B');
    calls.link('C', c!, { flags: BPF_F_BEFORE });
    calls.link('D', d!, { flags: BPF_F_AFTER | BPF_F_LINK, relative_fd: first, expected_revision: 4n });
    expect(calls.hook()).toBe('r5 c/C a/A d/D b/B');
  });

  rule('create: what is refused changes nothing', (calls) => {
    const [a, b, xdp] = [calls.load('a'), calls.load('b'), calls.load('x', BPF_PROG_TYPE_XDP)];
    calls.link('A', a);
    const nowhere = new TcxCalls(calls.sys, 9999);
    expect({
      twice: said(calls.link('-', a)),
      type: said(calls.link('-', xdp)),
      revision: said(calls.link('-', b, { expected_revision: 7n })),
      replace: said(calls.link('-', b, { flags: BPF_F_REPLACE })),
      device: said(nowhere.link('-', b)),
      fd: said(calls.link('-', 999)),
      anchor: said(calls.link('-', b, { flags: BPF_F_BEFORE, relative_fd: b })),
    }).toEqual({
      twice: 'EEXIST',
      type: 'EINVAL',
      revision: 'ESTALE',
      replace: 'ENOENT',
      device: 'ENODEV',
      fd: 'EBADF',
      anchor: 'ENOENT',
    });
    expect(calls.hook()).toBe('r2 a/A');
  });

  rule('update: with and without the old program, in the same place', (calls) => {
    const [a, b, c, d, xdp] = [...['a', 'b', 'c', 'd'].map((name) => calls.load(name)), calls.load('x', BPF_PROG_TYPE_XDP)];
    const link = calls.link('A', a!);
    calls.link('B', b!);
    expect(calls.update(link, c!)).toBe('OK');
    expect(calls.hook()).toBe('r4 c/A b/B');
    expect(calls.update(link, d!, { flags: BPF_F_REPLACE, old_prog_fd: c! })).toBe('OK');
    expect(calls.hook()).toBe('r5 d/A b/B');
    expect(calls.info(link).prog).toBe(calls.progId(d!));
    expect([
      calls.update(link, a!, { flags: BPF_F_REPLACE, old_prog_fd: c! }),
      calls.update(link, a!, { old_prog_fd: d! }),
      calls.update(link, a!, { flags: BPF_F_REPLACE, old_prog_fd: 999 }),
      calls.update(link, xdp!),
      calls.update(link, b!),
      calls.update(link, d!),
    ]).toEqual(['EPERM', 'EINVAL', 'EBADF', 'EINVAL', 'EEXIST', 'OK']);
    expect(calls.hook()).toBe('r5 d/A b/B');
  });

  rule('detach: the link stays, without a place', (calls) => {
    const [a, b] = [calls.load('a'), calls.load('b')];
    const link = calls.link('A', a);
    expect(said(calls.sys.bpf(BPF_LINK_DETACH, { link_fd: link }))).toBe('OK');
    expect(calls.hook()).toBe('r1');
    expect(calls.info(link)).toMatchObject({ ifindex: 0, prog: calls.progId(a), attach_type: BPF_TCX_INGRESS });
    expect(calls.update(link, b)).toBe('ENOLINK');
    expect(said(calls.sys.bpf(BPF_LINK_DETACH, { link_fd: link }))).toBe('OK');
    expect(calls.hook()).toBe('r1');
    expect(calls.attach(a)).toBe('OK');
  });

  rule('close: the last fd takes the program off, not the one before', (calls, world) => {
    const link = calls.link('A', calls.load('a'));
    const { id } = calls.info(link);
    const other = world.task('other');
    expect(other.sys.bpf(BPF_LINK_GET_FD_BY_ID, { link_id: id })).toBeGreaterThan(0);
    calls.sys.close(link);
    expect(calls.hook()).toBe('r2 a/A');
    other.exit();
    expect(
      until(
        () => calls.hook(),
        (hook) => hook === 'r1',
      ),
    ).toBe('r1');
    expect(gone(calls.sys, 'link', id)).toBe(true);
  });

  rule('pin: the link outlives its process, and goes with the pin', (calls, world) => {
    const owner = world.task('owner');
    const made = new TcxCalls(owner.sys, calls.ifindex);
    const link = made.link('A', made.load('a'));
    const { id, prog } = made.info(link);
    const pathname = cString(`${world.bpffs}/link`);
    expect(said(owner.sys.bpf(BPF_OBJ_PIN, { pathname, bpf_fd: link }))).toBe('OK');
    owner.exit();
    expect(calls.places()).toEqual([[prog, id]]);
    const fd = calls.sys.bpf(BPF_OBJ_GET, { pathname });
    expect(calls.info(fd)).toMatchObject({ id, prog });
    calls.sys.close(fd);
    world.unlink(`${world.bpffs}/link`);
    expect(gone(calls.sys, 'link', id) && gone(calls.sys, 'prog', prog)).toBe(true);
    expect(calls.places()).toEqual([]);
  });

  rule('info and fdinfo', (calls, world) => {
    const egress = new TcxCalls(calls.sys, calls.ifindex, BPF_TCX_EGRESS);
    const shown = (fd: number): string[] =>
      String(calls.sys.fdInfo(fd))
        .trimEnd()
        .split('\n')
        .filter((line) => !/^(pos|flags|mnt_id|ino):/.test(line));
    const [a, b] = [calls.link('A', calls.load('a')), egress.link('B', egress.load('b'))];
    const tag = 'prog_tag:\t7c85c77581178cdb';
    const expected = (fd: number, ifindex: number, hook: string): string[] => {
      const { id, prog } = calls.info(fd);
      return ['link_type:\ttcx', `link_id:\t${id}`, tag, `prog_id:\t${prog}`, `ifindex:\t${ifindex}`, `attach_type:\t${hook}`];
    };
    expect(calls.info(a)).toMatchObject({ type: BPF_LINK_TYPE_TCX, ifindex: calls.ifindex, attach_type: BPF_TCX_INGRESS });
    expect(calls.info(b)).toMatchObject({ type: BPF_LINK_TYPE_TCX, ifindex: calls.ifindex, attach_type: BPF_TCX_EGRESS });
    expect(shown(a)).toEqual(expected(a, calls.ifindex, '46 (ingress)'));
    expect(shown(b)).toEqual(expected(b, calls.ifindex, '47 (egress)'));
    world.removeDevice(calls.ifindex);
    expect(shown(b)).toEqual(expected(b, 0, '47 (egress)'));
  });

  rule('iteration by id shows every link once, in ascending order', (calls) => {
    const ids = ['a', 'b', 'c'].map((name) => calls.info(calls.link(name, calls.load(name))).id);
    const seen: number[] = [];
    const attr = { start_id: 0, next_id: 0 };
    while (calls.sys.bpf(BPF_LINK_GET_NEXT_ID, attr) === 0) seen.push((attr.start_id = attr.next_id));
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
    expect(seen.filter((id) => ids.includes(id))).toEqual(ids);
    expect(said(calls.sys.bpf(BPF_LINK_GET_NEXT_ID, { start_id: 0x7fff_fffe, next_id: 0 }))).toBe('ENOENT');
    expect(said(calls.sys.bpf(BPF_LINK_GET_FD_BY_ID, { link_id: 0x7fff_fff0 }))).toBe('ENOENT');
  });

  rule('a device that goes leaves its links defunct', (calls, world) => {
    const [a, b] = [calls.load('a'), calls.load('b')];
    const link = calls.link('A', a);
    world.removeDevice(calls.ifindex);
    expect(calls.info(link)).toMatchObject({ ifindex: 0, prog: calls.progId(a) });
    expect(calls.update(link, b)).toBe('ENOLINK');
    expect(said(calls.sys.bpf(BPF_LINK_DETACH, { link_fd: link }))).toBe('OK');
    expect(said(calls.link('-', b))).toBe('ENODEV');
    const { id } = calls.info(link);
    calls.sys.close(link);
    expect(gone(calls.sys, 'link', id)).toBe(true);
  });

  rule('links and attachments without link never replace each other; only the latter replace their like', (calls) => {
    const [a, b, n] = [calls.load('a'), calls.load('b'), calls.load('n')];
    const link = calls.link('A', a);
    calls.attach(b);
    const replace = (replace_bpf_fd: number): string => calls.attach(n, { attach_flags: BPF_F_REPLACE, replace_bpf_fd });
    expect({
      'non-link for link': replace(a),
      'link for link': said(calls.link('-', n, { flags: BPF_F_REPLACE, relative_fd: a })),
      'link by id of link': said(calls.link('-', n, { flags: BPF_F_REPLACE | BPF_F_LINK, relative_fd: link })),
      'link for non-link': said(calls.link('-', n, { flags: BPF_F_REPLACE, relative_fd: b })),
      'detach of a link as if there were none': calls.detach(a),
    }).toEqual({
      'non-link for link': 'EBUSY',
      'link for link': 'ENOENT',
      'link by id of link': 'ENOENT',
      'link for non-link': 'ENOENT',
      'detach of a link as if there were none': 'EBUSY',
    });
    expect(calls.hook()).toBe('r3 a/A b');
    expect(replace(b)).toBe('OK');
    expect(calls.hook()).toBe('r4 a/A n');
  });

  rule('attachments with and without link stand side by side, each the anchor of the other', (calls) => {
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => calls.load(name));
    const link = calls.link('A', a!);
    expect(calls.attach(b!)).toBe('OK');
    expect(calls.attach(c!, { attach_flags: BPF_F_BEFORE | BPF_F_LINK, relative_fd: link })).toBe('OK');
    calls.link('D', d!, { flags: BPF_F_BEFORE, relative_fd: b! });
    expect(calls.hook()).toBe('r5 c a/A d/D b');
    expect(calls.detach(c!)).toBe('OK');
    calls.sys.close(link);
    expect(
      until(
        () => calls.hook(),
        (hook) => hook === 'r7 d/D b',
      ),
    ).toBe('r7 d/D b');
  });

  rule('63 programs, whatever owns them', (calls) => {
    const progs = Array.from({ length: 65 }, (_unused, at) => calls.load(`p${at}`));
    const links = progs.slice(0, 63).map((prog, at) => {
      if (at % 2 === 0) return calls.link(`L${at}`, prog);
      expect(calls.attach(prog)).toBe('OK');
      return 0;
    });
    const full = calls.hook();
    expect(calls.places()).toHaveLength(63);
    expect([said(calls.link('-', progs[63]!)), calls.attach(progs[63]!)]).toEqual(['ERANGE', 'ERANGE']);
    expect(calls.hook()).toBe(full);
    expect(calls.attach(progs[63]!, { attach_flags: BPF_F_REPLACE, replace_bpf_fd: progs[1]! })).toBe('OK');
    expect(calls.update(links[0]!, progs[64]!)).toBe('OK');
    calls.sys.close(links[2]!);
    expect(
      until(
        () => calls.places().length,
        (count) => count === 62,
      ),
    ).toBe(62);
    expect(calls.attach(progs[0]!)).toBe('OK');
    expect(calls.hook()).toMatch(/^r68 p64\/L0 p63 p3 p4\/L4 .* p62\/L62 p0$/);
  });

  rule('a process that is killed leaves what is pinned and what has no link', (calls, world, crash) => {
    const egress = new TcxCalls(calls.sys, calls.ifindex, BPF_TCX_EGRESS);
    const pin = `${world.bpffs}/held`;
    const kill = crash(calls.ifindex, pin);
    const [held, left] = calls.places();
    const [pinned] = egress.places();
    expect([held![1] > 0, left![1], pinned![1] > 0]).toEqual([true, 0, true]);
    kill();
    expect(gone(calls.sys, 'link', held![1]) && gone(calls.sys, 'prog', held![0])).toBe(true);
    expect([calls.places(), calls.revision, egress.places()]).toEqual([[left], 4, [pinned]]);
    world.unlink(pin);
    expect(gone(calls.sys, 'link', pinned![1]) && gone(calls.sys, 'prog', pinned![0])).toBe(true);
    expect([egress.places(), egress.revision]).toEqual([[], 1]);
    expect(alive(calls.sys, 'prog', left![0])).toBe(true);
    world.removeDevice(calls.ifindex);
    expect(gone(calls.sys, 'prog', left![0])).toBe(true);
  });
});
