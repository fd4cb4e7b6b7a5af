import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';

import { assemble, encode } from '@libbpf-ts/isa';
import type { Task } from '@libbpf-ts/kernel';
import { BPF_F_FIRST } from '@libbpf-ts/mprog';
import { BPF_LINK_CREATE, BPF_PROG_LOAD, cString } from '@libbpf-ts/uapi';
import { createKernel, defaultSubsystems } from '@libbpf-ts/vmlinux';
import { customHook, load } from 'libbpf-ts';
import { expect, test } from 'vitest';

import { BPF_REQUEST, gateway, openGateway, requestHook } from '../src/gateway.ts';

/** Refuses paths that begin with /a (in life: a compiled C program). */
const NO_ADMIN = `
  r2 = *(u32 *)(r1 +0)
  r3 = *(u32 *)(r1 +4)
  r0 = -1
  r4 = r2
  r4 += 2
  if r4 > r3 goto pc+4
  r5 = *(u8 *)(r2 +1)
  if r5 != 97 goto pc+2
  *(u16 *)(r1 +12) = 404
  r0 = 1
  exit`;
const READ_ONLY = 'r0 = -1\nr2 = *(u32 *)(r1 +8)\nif r2 < 3 goto pc+2\n*(u16 *)(r1 +12) = 405\nr0 = 1\nexit';
const METER = 'r2 = *(u32 *)(r1 +16)\nr2 += 1\n*(u32 *)(r1 +16) = r2\nr0 = -1\nexit';

function plugIn(task: Task, target: number, text: string, prog_name: string, flags = 0): void {
  const insns = encode(assemble(text));
  const prog_fd = task.bpf(BPF_PROG_LOAD, {
    prog_type: BPF_REQUEST,
    insns,
    insn_cnt: insns.length / 8,
    license: cString('GPL'),
    prog_name,
  });
  expect(task.lastError?.message).toBeUndefined();
  expect(task.bpf(BPF_LINK_CREATE, { prog_fd, target_ifindex: target, attach_type: BPF_REQUEST, flags })).toBeGreaterThan(0);
}

test('plug-ins decide about requests, in order, and leave with their owner', async () => {
  const kernel = createKernel({ subsystems: [...defaultSubsystems, requestHook.subsystem] });
  const point = openGateway(kernel, 'public');
  const [security, billing] = [kernel.task('security'), kernel.task('billing')];
  plugIn(security, point.target, NO_ADMIN, 'no_admin');
  plugIn(security, point.target, READ_ONLY, 'read_only');
  plugIn(billing, point.target, METER, 'meter', BPF_F_FIRST);
  const server = gateway(point);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const ask = async (path: string, method = 'GET'): Promise<string> => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method });
    await answer.text();
    return `${answer.status} ${answer.headers.get('x-filters')} ${answer.headers.get('x-cost')}`;
  };
  try {
    expect(await ask('/index')).toBe('200 meter,no_admin,read_only 1');
    expect(await ask('/admin')).toBe('404 meter,no_admin 1');
    expect(await ask('/index', 'POST')).toBe('405 meter,no_admin,read_only 1');
    security.exit();
    expect(await ask('/admin', 'POST')).toBe('200 meter 1');
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
  billing.exit();
  expect(kernel.leaks()).toEqual([]);
});

test('a plug-in in C: its section names the hook, the loader does the rest', () => {
  const kernel = createKernel({ subsystems: [...defaultSubsystems, requestHook.subsystem] });
  const point = openGateway(kernel, 'public');
  const team = kernel.task('team');
  const place = customHook(team, { name: 'request public', attachType: BPF_REQUEST, target: point.target });
  const ask = (path: string): unknown => {
    const { verdict, context, path: ran } = requestHook.run(point, { method: 1 }, new TextEncoder().encode(path));
    return [verdict, context.status, context.cost, ran.map(({ prog }) => prog).join(',')];
  };
  const object = load(team, readFileSync(new URL('../plug-ins/no-admin.bpf.o', import.meta.url)), {
    sections: [requestHook.section],
  });
  const second = load(team, readFileSync(new URL('../plug-ins/no-admin.bpf.o', import.meta.url)), {
    sections: [requestHook.section],
  });
  const link = object.program('no_admin').attach(place);
  expect(ask('/admin/keys')).toEqual(['DENY', 404, 2, 'no_admin']);
  expect(ask('/adm')).toEqual(['ALLOW', 0, 2, 'no_admin']);
  expect(place.query()).toMatchObject({ revision: 2n, entries: [{ prog_id: object.program('no_admin').id }] });
  expect(() => second.program('no_admin').attach(place, { expectedRevision: 1n })).toThrow(/ESTALE/);
  second.program('no_admin').attach(place, { before: link, expectedRevision: 2n });
  expect(ask('/')).toEqual(['ALLOW', 0, 4, 'no_admin,no_admin']);
  team.exit();
  expect(ask('/admin')).toEqual(['ALLOW', 0, 0, '']);
  expect(kernel.leaks()).toEqual([]);
});
