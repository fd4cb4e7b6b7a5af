/** A kernel with one map type, one program type and one hook of its own, so that the core is tested without any subsystem. */

import {
  Kernel,
  type AttachTypeOps,
  type BpfLink,
  BpfLink as Link,
  type BpfProg,
  type Fork,
  type KernelOptions,
  type LinkOps,
  type MapTypeOps,
  type ProgTypeOps,
  stateKey,
  type StateKey,
  type Subsystem,
  type Task,
} from '@libbpf-ts/kernel';
import { cString, KernelError } from '@libbpf-ts/uapi';

import { trust } from './trusting-verifier.ts';

export const FAKE_MAP = 1000;
export const FAKE_PROG = 1000;
export const FAKE_HOOK = 1000;

/** One cell of `value_size` bytes; the key is not looked at. */
export const fakeMap: MapTypeOps<{ cell: number }> = {
  type: FAKE_MAP,
  name: 'fake',
  allocCheck: (attr) => {
    if (attr.max_entries !== 1) throw new KernelError('EINVAL', 'one cell only', 'max_entries');
  },
  alloc: (map) => ({ cell: map.kernel.arena.allocate(map.valueSize) }),
  free: (map) => map.kernel.arena.free(map.data.cell),
  clone: (data) => ({ ...data }),
  lookup: (map) => map.data.cell,
  update: (map, _key, value) => {
    map.kernel.arena.u8.copyWithin(map.data.cell, value, value + map.valueSize);
    return 0;
  },
};

export const fakeProg: ProgTypeOps = {
  type: FAKE_PROG,
  name: 'fake',
  verifier: { name: 'fake', funcProto: () => undefined, isValidAccess: () => undefined },
  testRun: (call, prog) => call.put('retval', prog.run(0)),
};

interface Hooks {
  attached: BpfLink | undefined;
}
export const hooksKey: StateKey<Hooks> = stateKey<Hooks>('fake.hooks');

export const fakeLink: LinkOps<null> = {
  type: 1000,
  name: 'fake',
  release: (link) => fakeLink.detach!(link),
  detach: (link) => {
    const hooks = link.kernel.stateOf(hooksKey);
    if (hooks.attached === link) hooks.attached = undefined;
  },
  updateProg: (link, prog) => link.replaceProg(prog),
  clone: () => null,
};

const fakeHook: AttachTypeOps = {
  progType: FAKE_PROG,
  linkCreate: (call, prog) => {
    const hooks = call.kernel.stateOf(hooksKey);
    const link = Link.create(call.kernel, { ops: fakeLink, prog, data: null, attachType: FAKE_HOOK });
    if (hooks.attached) {
      link.cancel();
      throw new KernelError('EBUSY', 'the hook is taken', 'attach_type');
    }
    hooks.attached = link;
    return link;
  },
};

export const fake: Subsystem = (kernel) => {
  kernel.state(hooksKey, {
    create: () => ({ attached: undefined }),
    clone: ({ attached }, fork: Fork) => ({ attached: fork.twinOf(attached) }),
  });
  kernel.mapTypes.register(FAKE_MAP, fakeMap);
  kernel.progTypes.register(FAKE_PROG, fakeProg);
  kernel.linkTypes.register(fakeLink.name, fakeLink);
  kernel.attachTypes.register(FAKE_HOOK, fakeHook);
};

export function fakeKernel(options: KernelOptions = {}): Kernel {
  return new Kernel({ subsystems: [fake], verify: trust, ...options });
}

export const createMap = (task: Task): number =>
  task.bpf(0, { map_type: FAKE_MAP, key_size: 4, value_size: 8, max_entries: 1 });

/** `r0 = result; exit`, or the instructions given. */
export function loadProg(task: Task, code: number | readonly number[] = 0): number {
  const insns = Uint8Array.from(typeof code === 'number' ? [0xb7, 0, 0, 0, code, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0] : code);
  return task.bpf(5, { prog_type: FAKE_PROG, insns, insn_cnt: insns.length / 8, license: cString('GPL') });
}

export const createLink = (task: Task, prog_fd: number): number => task.bpf(28, { prog_fd, attach_type: FAKE_HOOK });

export const progOf = (task: Task, fd: number): BpfProg => task.prog(fd, 'fd');
