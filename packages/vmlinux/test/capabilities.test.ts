import { readFileSync } from 'node:fs';

import type { Capabilities, Task } from '@libbpf-ts/kernel';
import { BufferMemory, cString, errnoName } from '@libbpf-ts/uapi';
import { createKernel } from '@libbpf-ts/vmlinux';
import { describe, expect, test } from 'vitest';

import { u32Bytes } from './support/storm.ts';

type Answers = Record<string, string>;
const recorded = JSON.parse(readFileSync(new URL('oracle/capabilities.json', import.meta.url), 'utf8')) as {
  kernel: string;
  sets: { capabilities: (keyof Capabilities)[]; answers: Answers }[];
};

const NONE: Capabilities = { bpf: false, perfmon: false, netAdmin: false, sysAdmin: false };
const BTF = Uint8Array.from(
  Buffer.from(`9feb010018000000${'00000000100000001000000001000000'}${'0000000000000001'}${'0400000020000000'}00`, 'hex'),
);
const NEED_ONE = new Set([8, 9, 13, 15, 18, 23, 25, 30, 32]);
const EXPECTED: Readonly<Record<number, number>> = { 8: 0, 9: 2, 18: 8, 25: 22, 30: 36, 32: 45, 31: 0 };
const ANYWHERE = 0xffff_ffff;

const nameOf = (result: number): string => (result >= 0 ? 'OK' : errnoName(result)!);

function mapSizes(type: number): readonly [number, number, number, number] {
  if ([22, 23, 30].includes(type)) return [0, 8, 4, 0];
  if (type === 11) return [8, 8, 4, 1];
  if (type === 27 || type === 31) return [0, 0, 4096, 0];
  return [3, 4, 8, 14, 15, 16, 17, 18, 20, 25].includes(type) ? [4, 4, 4, 0] : [4, 8, 4, 0];
}

function load(task: Task, prog_type: number, insns: Uint8Array): number {
  return task.bpf(5, {
    prog_type,
    insns,
    insn_cnt: insns.length / 8,
    license: cString('GPL'),
    expected_attach_type: EXPECTED[prog_type] ?? 0,
    prog_flags: prog_type === 31 ? 16 : 0,
  });
}

const returns = (value: number): Uint8Array => Uint8Array.of(0xb7, 0, 0, 0, value, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);

/** The same questions as the recorder's, asked by a task that was handed its fds. */
function ask(task: Task, question: string, [map, prog, btf]: readonly [number, number, number]): number {
  const [verb, what] = question.split(' ') as [string, string];
  if (verb === 'map' && /^\d+$/.test(what)) {
    const [key_size, value_size, max_entries, map_flags] = mapSizes(Number(what));
    return task.bpf(0, { map_type: Number(what), key_size, value_size, max_entries, map_flags });
  }
  if (question === 'prog of 4097 insns') {
    const insns = new Uint8Array(4097 * 8);
    for (let at = 0; at < insns.length; at += 8) insns[at] = 0xb7;
    insns[4096 * 8] = 0x95;
    return load(task, 1, insns);
  }
  if (verb === 'prog' && /^\d+$/.test(what)) return load(task, Number(what), returns(NEED_ONE.has(Number(what)) ? 1 : 0));
  const info = (fd: number): number => task.bpf(15, { bpf_fd: fd, info: new Uint8Array(16), info_len: 16 });
  const asked: Readonly<Record<string, () => number>> = {
    lookup: () => task.bpf(1, { map_fd: map, key: u32Bytes(0), value: new Uint8Array(8) }),
    update: () => task.bpf(2, { map_fd: map, key: u32Bytes(0), value: new Uint8Array(8) }),
    delete: () => task.bpf(3, { map_fd: map, key: u32Bytes(0) }),
    'info of map': () => info(map),
    'info of prog': () => info(prog),
    'info of btf': () => info(btf),
    'prog next id': () => task.bpf(11, { start_id: 0 }),
    'map next id': () => task.bpf(12, { start_id: 0 }),
    'btf next id': () => task.bpf(23, { start_id: 0 }),
    // The recorder took "there is none" for a yes: the machine's links are not ours.
    'link next id': () => {
      const result = task.bpf(31, { start_id: 0 });
      return result === -2 ? 0 : result;
    },
    'prog by id': () => task.bpf(13, { prog_id: 0 }),
    'map by id': () => task.bpf(14, { map_id: 0 }),
    'btf by id': () => task.bpf(19, { btf_id: 0 }),
    'link by id': () => task.bpf(30, { link_id: 0 }),
    'btf load': () => task.bpf(18, { btf: BTF, btf_size: BTF.length }),
    'query tcx': () => task.bpf(16, { target_ifindex: ANYWHERE, attach_type: 46 }),
    'attach tcx': () => task.bpf(8, { target_ifindex: ANYWHERE, attach_type: 46, attach_bpf_fd: prog }),
    'detach tcx': () => task.bpf(9, { target_ifindex: ANYWHERE, attach_type: 46, attach_bpf_fd: prog }),
    'link tcx': () => task.bpf(28, { target_ifindex: ANYWHERE, attach_type: 46, prog_fd: prog }),
    'test run': () => task.bpf(10, { prog_fd: prog }),
    'enable stats': () => task.bpf(32, { type: 0 }),
    'task fd query': () => task.bpf(20, { pid: 0x7fff_ffff }),
    freeze: () => task.bpf(22, { map_fd: map }),
    'bind map': () => task.bpf(35, { prog_fd: prog, map_fd: map }),
    'no such command': () => task.bpfRaw(99, new Uint8Array(16), 16, new BufferMemory()),
  };
  return asked[question]!();
}

describe(`capabilities as Linux ${recorded.kernel} asks for them`, () => {
  test.each(
    recorded.sets.map(({ capabilities, answers }) => [capabilities.join(' ') || 'none', capabilities, answers] as const),
  )('%s', (_, given, answers) => {
    const kernel = createKernel();
    const root = kernel.task('root');
    const task = kernel.task('asker', { capabilities: { ...NONE, ...Object.fromEntries(given.map((name) => [name, true])) } });
    const made = [
      root.bpf(0, { map_type: 1, key_size: 4, value_size: 8, max_entries: 4 }),
      load(root, 3, returns(0)),
      root.bpf(18, { btf: BTF, btf_size: BTF.length }),
    ] as const;
    const fds = made.map((fd) => task.installFd(root.file(fd)!)) as [number, number, number];
    const got = Object.fromEntries(Object.keys(answers).map((question) => [question, nameOf(ask(task, question, fds))]));
    expect(got).toEqual(answers);
  });
});
