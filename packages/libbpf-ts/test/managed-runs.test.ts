/** Programs of fixtures/objects that run here: what they return, as Linux 6.18.44 returned it. */

import { readFileSync } from 'node:fs';
import { createKernel, load, parseObject } from 'libbpf-ts';
import { expect, test } from 'vitest';

const FOLDER = new URL('../../../fixtures/objects/', import.meta.url);
const read = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, FOLDER)));
const kernelBtf = read('vmlinux-part.btf');

function run(object: string, name: string): number {
  using kernel = createKernel({ kernelBtf });
  const task = kernel.task('test');
  const spec = parseObject(read(object));
  const takesData = spec.programs.find((program) => program.name === name)!.section !== 'syscall';
  const loaded = load(task, spec, { pinDirectory: false, programs: [name] });
  const { retval } = loaded.program(name).testRun(takesData ? { data: new Uint8Array(64) } : {});
  task.exit();
  expect(kernel.leaks()).toEqual([]);
  return retval;
}

test.each([
  ['a resilient lock taken by two pointers is a deadlock', 'corners.bpf.o', 'deadlock', 35],
  ['also with interrupts saved', 'corners.bpf.o', 'deadlock_irq', 35],
  ['and is free again when it was given back', 'corners.bpf.o', 'locked', 7],
])('%s', (_, object, name, retval) => {
  expect(run(object, name)).toBe(retval);
});

test.each([
  ['local objects', 'lists.bpf.o', 'ok_push', 'bpf_obj_new_impl'],
  ['exceptions', 'exceptions.bpf.o', 'thr0', 'bpf_throw'],
  ['arenas', 'arenas.bpf.o', 'a_list', 'the memory of arenas'],
])('what nothing here runs is told when it is reached: %s', (_, object, name, missing) => {
  expect(() => run(object, name)).toThrow(`this kernel has no implementation of ${missing} for `);
});
