import { describe, expect, test } from 'vitest';
import { createKernel, isBpfError, isVerifierError, linkId, load, loadEach, parseObject, tcx } from 'libbpf-ts';
import { load as loadMaps } from './objects/maps.skel.ts';
import { objectBytes } from './objects.ts';

const maps = parseObject(objectBytes('maps'), { name: 'maps' });

describe('on the in-process kernel', () => {
  test('a skeleton loads, runs and counts', () => {
    const task = createKernel().task('app');
    using skeleton = loadMaps(task, { pinDirectory: false, globals: { '.rodata': { limit: 2 } } });
    skeleton.maps.flows.set({ addr: 0, port: 80, pad: 0 }, { packets: 5n, bytes: 0, mode: 'MODE_OFF', name: '' });
    const runs = [1, 2, 3].map(() => skeleton.programs.main_prog.testRun({ data: new Uint8Array(64) }).retval);
    // The tail call goes to `tail`, which returns add(1, 1).
    expect(runs).toEqual([2, 2, 2]);
    expect(skeleton.maps.flows.get({ addr: 0, port: 80, pad: 0 })?.packets).toBe(5n);
    expect(skeleton.object.map('maps.bss').get(0)).toMatchObject({ seen: 3n });
  });

  test('programs go where anchors say, and a stale revision is refused in words', () => {
    const task = createKernel().task('app');
    const hook = tcx(task, 'lo', 'ingress');
    const objects = [1, 2, 3].map(() => load(task, maps, { programs: ['optional'] }));
    const [a, b, c] = objects.map((object) => object.program());
    const first = a!.attach(hook);
    const second = b!.attach(hook, { before: first });
    expect(hook.query()).toMatchObject({ revision: 3n, entries: [{ link_id: second.id }, { link_id: first.id }] });
    const stale = (): unknown => c!.attach(hook, { after: linkId(second.id), expectedRevision: 1n });
    expect(stale).toThrowError(expect.objectContaining({ code: 'ESTALE', arg: 'expected_revision' }));
    try {
      stale();
    } catch (error) {
      expect(isBpfError(error, 'ESTALE') && error.message).toContain('tcx/ingress of lo');
    }
    expect(first.info()).toMatchObject({ prog_id: a!.id, attach_type: 46 });
    objects.forEach((object) => object.close());
    expect(hook.query().entries).toEqual([]);
  });

  test('a program on a hook for another type is refused with the remedy in words', () => {
    const task = createKernel().task('app');
    using skeleton = loadMaps(task, { pinDirectory: false });
    const hook = tcx(task, 'lo', 'ingress');
    const untyped = skeleton.object.program('main_prog');
    expect(() => untyped.attach(hook)).toThrowError(/EINVAL.*programs of type xdp do not attach to tcx\/ingress/);
    expect(hook.query().entries).toEqual([]);
  });

  test('nothing stays behind', () => {
    const kernel = createKernel();
    const before = kernel.leaks().length;
    const task = kernel.task('app');
    load(task, maps, { pinDirectory: false }).close();
    loadEach(task, maps, { pinDirectory: false });
    task.exit();
    expect(kernel.leaks().length).toBe(before);
  });

  test('a refusal has the log, the instruction and the C line', () => {
    const core = parseObject(objectBytes('core'));
    try {
      load(createKernel().task('app'), core, { programs: ['kfunc_missing'] });
      expect.unreachable();
    } catch (error) {
      if (!isVerifierError(error)) throw error;
      expect(error.code).toBe('EINVAL');
      expect(error.log).toContain("kfunc 'no_such_kfunc' is referenced but wasn't resolved");
      expect(error.diagnostics.length).toBeGreaterThan(0);
    }
  });
});
