/** The C library by koffi: system calls by number, and native memory that JavaScript sees. */

import { createRequire } from 'node:module';
import process from 'node:process';
import { LinuxUnavailableError } from './errors.ts';

/** System call numbers of x86-64 and of the generic table (arm64, riscv64), where they differ. */
const NUMBERS = {
  x64: {
    bpf: 321,
    close: 3,
    dup: 32,
    socket: 41,
    sendto: 44,
    recvfrom: 45,
    bind: 49,
    setsockopt: 54,
    getsockopt: 55,
    unshare: 272,
    setns: 308,
    openat: 257,
    mmap: 9,
    mprotect: 10,
    munmap: 11,
    mount: 165,
    umount2: 166,
    gettid: 186,
    ioctl: 16,
    poll: 7,
  },
  arm64: {
    bpf: 280,
    close: 57,
    dup: 23,
    socket: 198,
    sendto: 206,
    recvfrom: 207,
    bind: 200,
    setsockopt: 208,
    getsockopt: 209,
    unshare: 97,
    setns: 268,
    openat: 56,
    mmap: 222,
    mprotect: 226,
    munmap: 215,
    mount: 40,
    umount2: 39,
    gettid: 178,
    ioctl: 29,
    poll: 73,
  },
} as const;

export type SyscallName = keyof (typeof NUMBERS)['x64'];

/** Native memory: its address and the same bytes as a buffer. */
export interface NativeMemory {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

/** What this package needs of the C library. */
export interface Ffi {
  /** A system call: its result, or `-errno`. */
  call(name: SyscallName, ...args: (number | bigint)[]): number;
  /** The bytes at a native address as a buffer; valid as long as the memory is mapped. */
  view(address: bigint, length: number): Uint8Array;
  /** mmap(2) of anonymous private memory, readable and writable. Throws where there is none. */
  map(length: number, protection?: number): bigint;
  /** mmap(2) of a file, MAP_SHARED: the address, or `-errno`. */
  mapFile(fd: number, length: number, offset: number, protection: number): bigint;
}

interface Koffi {
  load(name: string): { func(prototype: string): (...args: unknown[]) => number | bigint };
  errno(): number;
  view(pointer: unknown, length: number): ArrayBuffer;
}

function requireKoffi(): Koffi {
  try {
    return createRequire(import.meta.url)('koffi') as Koffi;
  } catch (error) {
    const detail = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new LinuxUnavailableError(
      'no-koffi',
      `koffi cannot be loaded (${detail})`,
      'install the optional peer dependency: npm install koffi',
    );
  }
}

const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const MAP_SHARED = 1;

/** Loads the C library. Throws {@link LinuxUnavailableError} where this is not Linux or koffi is missing. */
export function loadFfi(): Ffi {
  if (process.platform !== 'linux') {
    throw new LinuxUnavailableError(
      'not-linux',
      `this is ${process.platform}`,
      'run on Linux, or use createKernel() of libbpf-ts, which runs anywhere',
    );
  }
  const numbers = NUMBERS[process.arch as keyof typeof NUMBERS];
  if (numbers === undefined) {
    throw new LinuxUnavailableError(
      'not-linux',
      `system call numbers of ${process.arch} are not known here`,
      'use x64 or arm64',
    );
  }
  const koffi = requireKoffi();
  const libc = koffi.load('libc.so.6');
  const syscall = libc.func('int64_t syscall(long number, int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f)');
  const raw = (name: SyscallName, args: (number | bigint)[]): number | bigint => {
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = args;
    const result = syscall(numbers[name], a, b, c, d, e, f);
    return Number(result) === -1 ? -koffi.errno() : result;
  };
  return {
    call: (name, ...args) => Number(raw(name, args)),
    view: (address, length) => new Uint8Array(koffi.view(address, length)),
    map(length, protection = PROT_READ_WRITE) {
      const address = BigInt(raw('mmap', [0, length, protection, MAP_PRIVATE_ANONYMOUS, -1, 0]));
      if (address < 0n && address > -4096n) throw new Error(`mmap of ${length} bytes failed with errno ${-address}`);
      return address;
    },
    mapFile: (fd, length, offset, protection) => BigInt(raw('mmap', [0, length, protection, MAP_SHARED, fd, offset])),
  };
}
