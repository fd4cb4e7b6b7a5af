/** Where the running kernel cannot be used, and what the error says about it. */

import Module from 'node:module';
import process from 'node:process';

import {
  BpfFs,
  isLinuxUnavailable,
  linuxKernel,
  LinuxUnavailableError,
  NetNamespace,
  type Ffi,
  type SyscallName,
} from '@libbpf-ts/linux';
import { noLiveKernel } from '@libbpf-ts/testkit';
import { ERRNO } from '@libbpf-ts/uapi';
import { afterEach, describe, expect, test, vi } from 'vitest';

import { loadFfi } from '../src/ffi.ts';
import { checkAvailable } from '../src/kernel.ts';

afterEach(() => vi.restoreAllMocks());

function refusal(call: () => unknown): LinuxUnavailableError {
  try {
    call();
  } catch (error) {
    if (isLinuxUnavailable(error)) return error;
    throw error;
  }
  throw new Error('it is available');
}

/** Runs with another value of `process.platform` or `process.arch`. */
function as<T>(key: 'platform' | 'arch', value: string, call: () => T): T {
  const real = Object.getOwnPropertyDescriptor(process, key)!;
  Object.defineProperty(process, key, { ...real, value });
  try {
    return call();
  } finally {
    Object.defineProperty(process, key, real);
  }
}

describe('without the real thing', () => {
  test.each(['darwin', 'win32', 'freebsd'])('on %s', (platform) => {
    const error = as('platform', platform, () => refusal(linuxKernel));
    expect(error).toBeInstanceOf(LinuxUnavailableError);
    expect(error).toMatchObject({ name: 'LinuxUnavailableError', code: 'not-linux' });
    expect(error.message).toBe(`this is ${platform}; ${error.remedy}`);
    expect(error.remedy).toContain('createKernel()');
  });

  test('on a machine whose system calls have other numbers', () => {
    const error = as('platform', 'linux', () => as('arch', 's390x', () => refusal(linuxKernel)));
    expect(error).toMatchObject({ code: 'not-linux', remedy: 'use x64 or arm64' });
    expect(error.message).toContain('s390x');
  });

  test('without koffi', () => {
    const loader = Module as never as { _load(request: string, ...rest: unknown[]): unknown };
    const load = loader._load.bind(Module);
    vi.spyOn(loader, '_load').mockImplementation((request, ...rest) =>
      load(request === 'koffi' ? 'koffi-of-nobody' : request, ...rest),
    );
    const error = as('platform', 'linux', () => as('arch', 'x64', () => refusal(linuxKernel)));
    expect(error.code).toBe('no-koffi');
    expect(error.message).toMatch(/^koffi cannot be loaded \(Cannot find module 'koffi-of-nobody'\); /);
    expect(error.remedy).toContain('npm install koffi');
  });
});

describe('what bpf(2) answers', () => {
  const answering = (errno: number): { bpfRaw: () => number } => ({ bpfRaw: () => -errno });

  test.each([
    ['EPERM', 'no-permission', 'CAP_BPF'],
    ['ENOSYS', 'no-bpf', 'CONFIG_BPF_SYSCALL'],
  ] as const)('%s', (errno, code, remedy) => {
    const error = refusal(() => checkAvailable(answering(ERRNO[errno])));
    expect(error.code).toBe(code);
    expect(error.remedy).toContain(remedy);
  });

  test('anything else is an answer', () => expect(() => checkAvailable(answering(ERRNO.EFAULT))).not.toThrow());

  test('a process without rights', (context) => {
    const reason = noLiveKernel() ?? (process.seteuid ? undefined : 'a worker thread cannot give up its rights');
    if (reason) context.skip(reason);
    expect(() => linuxKernel()).not.toThrow();
    process.seteuid!(65534);
    try {
      expect(refusal(linuxKernel)).toMatchObject({
        code: 'no-permission',
        remedy: expect.stringContaining('CAP_NET_ADMIN') as string,
      });
    } finally {
      process.seteuid!(0);
    }
    expect(() => linuxKernel()).not.toThrow();
  });
});

test.for<[string, SyscallName, (ffi: Ffi) => unknown]>([
  ['a network namespace', 'unshare', (ffi) => new NetNamespace(ffi)],
  ['a bpffs', 'mount', (ffi) => new BpfFs(ffi)],
])('%s without CAP_SYS_ADMIN', ([, refused, make], context) => {
  const reason = noLiveKernel();
  if (reason) context.skip(reason);
  const ffi = loadFfi();
  const answering = (errno: number): Ffi => ({
    ...ffi,
    call: (name, ...args) => (name === refused ? -errno : ffi.call(name, ...args)),
  });
  const error = refusal(() => make(answering(ERRNO.EPERM)));
  expect(error).toMatchObject({ code: 'no-permission', remedy: 'run as root or with CAP_SYS_ADMIN' });
  expect(() => make(answering(ERRNO.ENOSPC))).toThrow(/failed with errno 28$/);
});

test('other errors are not taken for it', () => {
  expect([isLinuxUnavailable(new Error('x')), isLinuxUnavailable(undefined), isLinuxUnavailable({ remedy: '' })]).toEqual([
    false,
    false,
    false,
  ]);
});
