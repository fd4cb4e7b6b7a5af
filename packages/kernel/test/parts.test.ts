import { createHash } from 'node:crypto';

import { FileTree, holderText, IdTable, progTag, Registry, sha256 } from '@libbpf-ts/kernel';
import { errnoName, isKernelError } from '@libbpf-ts/uapi';
import { describe, expect, test } from 'vitest';

import { createLink, createMap, fakeKernel, loadProg } from './support/fake.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('SHA-256 of messages of every length around a block', () => {
  for (let length = 0; length < 200; length++) {
    const message = Uint8Array.from({ length }, (_, index) => (index * 7 + length) & 255);
    expect(hex(sha256(message))).toBe(createHash('sha256').update(message).digest('hex'));
  }
});

// Recorded on Linux 6.18.
test.each([
  ['r0 = 0; exit', 'b7000000000000009500000000000000', '59f4a931744dcdc6'],
  ['a map by fd', '1811000003000000000000000000000' + '0b7000000000000009500000000000000', '0bd0168676c7c779'],
  ['a map value by fd and offset', '18210000030000000000000004000000b7000000000000009500000000000000', '28813e616f1f93d1'],
  ['a map by index', '18510000000000000000000000000000b7000000000000009500000000000000', '6de516f40cf25b2c'],
])('the tag of a program: %s', (_, code, tag) => {
  expect(hex(progTag(Uint8Array.from(Buffer.from(code, 'hex'))))).toBe(tag);
});

describe('ids', () => {
  test('are cyclic, and next finds the one above', () => {
    const table = new IdTable<{ id: number }>();
    const objects = Array.from({ length: 5 }, () => ({ id: 0 }));
    for (const object of objects) table.add(object);
    table.remove(5);
    table.remove(2);
    expect(table.nextId()).toBe(6);
    expect(table.add({ id: 0 })).toBe(6);
    expect([0, 1, 2, 4, 6].map((id) => table.next(id))).toEqual([1, 3, 3, 6, undefined]);
    expect([...table].map(({ id }) => id)).toEqual([1, 3, 4, 6]);
  });
});

test('a registry refuses a second row for a key', () => {
  const rows = new Registry<number, string>('row');
  rows.register(1, 'a');
  expect(() => rows.register(1, 'b')).toThrow('row 1 is registered already');
  rows.override(1, 'c');
  expect(rows.get(1)).toBe('c');
});

test('holders in words', () => {
  expect(holderText({ kind: 'map', id: 4, key: 'slot 3' })).toBe('slot 3 of map 4');
  expect(holderText({ kind: 'fd', task: 2, fd: 5 }, () => 'agent')).toBe('fd 5 of task agent');
});

describe('bpffs', () => {
  test.each<[string, (task: ReturnType<ReturnType<typeof fakeKernel>['task']>) => number, string]>([
    ['mkdir', (task) => task.mkdir('/sys/fs/bpf/d'), 'OK'],
    ['mkdir twice', (task) => (task.mkdir('/sys/fs/bpf/d'), task.mkdir('/sys/fs/bpf/d')), 'EEXIST'],
    ['mkdir with a dot', (task) => task.mkdir('/sys/fs/bpf/a.b'), 'EPERM'],
    ['mkdir in nothing', (task) => task.mkdir('/sys/fs/bpf/no/d'), 'ENOENT'],
    ['rmdir of the mount', (task) => task.rmdir('/sys/fs/bpf'), 'EBUSY'],
    [
      'rmdir of a full one',
      (task) => (task.mkdir('/sys/fs/bpf/d'), task.mkdir('/sys/fs/bpf/d/e'), task.rmdir('/sys/fs/bpf/d')),
      'ENOTEMPTY',
    ],
    ['unlink of nothing', (task) => task.unlink('/sys/fs/bpf/x'), 'ENOENT'],
    ['unlink of a directory', (task) => (task.mkdir('/sys/fs/bpf/d'), task.unlink('/sys/fs/bpf/d')), 'EISDIR'],
    ['rename of nothing', (task) => task.rename('/sys/fs/bpf/x', '/sys/fs/bpf/y'), 'ENOENT'],
    ['open of a file as a directory', (task) => task.openDir('/sys/fs/bpf/nothing'), 'ENOENT'],
  ])('%s', (_, act, result) => {
    const got = act(fakeKernel().task());
    expect(got >= 0 ? 'OK' : errnoName(got)).toBe(result);
  });

  test('pins by a directory fd, renamed over another, listed, and lost with the mount', () => {
    const kernel = fakeKernel();
    const task = kernel.task();
    const [a, b] = [createMap(task), createMap(task)];
    task.mkdir('/sys/fs/bpf/d');
    const dir = task.openDir('/sys/fs/bpf/d');
    const name = (text: string): Uint8Array => new TextEncoder().encode(`${text}\0`);
    expect(task.bpf(6, { bpf_fd: a, pathname: name('one'), path_fd: dir, file_flags: 1 << 14 })).toBe(0);
    expect(task.bpf(6, { bpf_fd: b, pathname: name('/sys/fs/bpf/two') })).toBe(0);
    expect([...kernel.files.pins()].map(({ path }) => path)).toEqual(['/sys/fs/bpf/d/one', '/sys/fs/bpf/two']);
    task.close(a);
    task.close(b);
    expect(task.rename('/sys/fs/bpf/two', '/sys/fs/bpf/d/one')).toBe(0);
    expect(kernel.leaks().map(({ id }) => id)).toEqual([2]);
    expect(task.readdir('/sys/fs/bpf')).toEqual(['d/']);
    kernel.files.unmountBpffs('/sys/fs/bpf');
    expect(kernel.leaks()).toEqual([]);
  });

  test('a second mount at a place is refused', () => {
    const tree = new FileTree();
    tree.mountBpffs('/a/b');
    expect(() => tree.mountBpffs('/a/b')).toThrow(expect.objectContaining({ code: 'EBUSY' }) as Error);
    try {
      tree.unmountBpffs('/a');
    } catch (error) {
      expect(isKernelError(error) && error.code).toBe('EINVAL');
    }
  });
});

test('fdinfo as Linux shows it', () => {
  const task = fakeKernel().task();
  const prog = loadProg(task);
  const link = createLink(task, prog);
  const map = task.bpf(0, { map_type: 1000, key_size: 4, value_size: 8, max_entries: 1, map_flags: 1 << 3 });
  const head = (flags: string): string => `pos:\t0\nflags:\t${flags}\nmnt_id:\t15\nino:\t1\n`;
  expect(task.fdInfo(prog)).toBe(
    `${head('02000002')}prog_type:\t1000\nprog_jited:\t1\nprog_tag:\t59f4a931744dcdc6\nmemlock:\t4096\nprog_id:\t1\nrun_time_ns:\t0\nrun_cnt:\t0\nrecursion_misses:\t0\nverified_insns:\t2\n`,
  );
  expect(task.fdInfo(link)).toBe(
    `${head('02000000')}link_type:\tfake\nlink_id:\t1\nprog_tag:\t59f4a931744dcdc6\nprog_id:\t1\n`,
  );
  expect(task.fdInfo(map)).toBe(
    `${head('02000000')}map_type:\t1000\nkey_size:\t4\nvalue_size:\t8\nmax_entries:\t1\nmap_flags:\t0x8\nmap_extra:\t0x0\nmemlock:\t0\nmap_id:\t1\nfrozen:\t0\n`,
  );
  expect(task.fdInfo(99)).toBe(-2);
});
