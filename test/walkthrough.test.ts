import { createKernel, load, tcx, type BpfObject, type Link } from 'libbpf-ts';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { calledFunctions, type CalledFunctions } from './called-functions.ts';

const document = readFileSync(join(import.meta.dirname, '../docs/architecture.md'), 'utf8');
const firewall = new Uint8Array(readFileSync(join(import.meta.dirname, '../fixtures/demo/firewall.bpf.o')));

/** The functions that a section of the document names: `package` and name. */
function namedIn(heading: string): readonly (readonly [name: string, fn: string])[] {
  const section = document.split(`### ${heading}\n`)[1]?.split(/\n##/)[0] ?? '';
  return [...section.matchAll(/^- \*\*([\w-]+)\*\* ((?:`[^`]+`(?: · )?)+)/gm)].flatMap(([, name, list]) =>
    [...list!.matchAll(/`([^`]+)`/g)].map(([, fn]) => [name!, fn!] as const),
  );
}

function missing(heading: string, called: CalledFunctions, atLeast = 10): readonly string[] {
  const named = namedIn(heading);
  expect(named.length).toBeGreaterThanOrEqual(atLeast);
  return named.filter(([name, fn]) => !called.get(name)?.has(fn)).map(([name, fn]) => `${name}: ${fn}`);
}

test('the flows call the functions that the document names', async () => {
  const kernel = createKernel();
  const device = kernel.net.addDevice({ name: 'eth0' });
  const task = kernel.task('agent');
  let object!: BpfObject;
  let link!: Link;

  const loading = await calledFunctions(() => {
    object = load(task, firewall);
    link = object.program('firewall').attach(tcx(task, 'eth0', 'ingress'));
  });
  expect(missing('The life of an object', loading)).toEqual([]);

  const packet = await calledFunctions(() => void device.receive(new Uint8Array(60)));
  expect(missing('The life of a packet', packet)).toEqual([]);

  const often = await calledFunctions(() => {
    for (let count = 0; count < 20_000; count++) device.receive(new Uint8Array(60));
  });
  expect(missing('A program that runs often', often, 6)).toEqual([]);

  const ownership = await calledFunctions(() => {
    link.pin('/sys/fs/bpf/firewall');
    kernel.fork().leaks();
    kernel.whyAlive({ link: link.id });
    kernel.files.unlink('/sys/fs/bpf/firewall');
    task.exit();
  });
  expect(missing('Ownership', ownership)).toEqual([]);
  expect(kernel.leaks()).toEqual([]);
  expect(device.receive(new Uint8Array(60)).path).toEqual([]);
});
