/** Random processes on a kernel: they make things, attach them, pin them, hand them to each other, and crash. */

import type { Kernel, Task } from '@libbpf-ts/kernel';
import { netOf, type NetDevice } from '@libbpf-ts/net';
import {
  BPF_BTF_LOAD,
  BPF_LINK_CREATE,
  BPF_LINK_DETACH,
  BPF_LINK_UPDATE,
  BPF_MAP_CREATE,
  BPF_MAP_DELETE_ELEM,
  BPF_MAP_FREEZE,
  BPF_MAP_GET_FD_BY_ID,
  BPF_MAP_LOOKUP_ELEM,
  BPF_MAP_TYPE_ARRAY,
  BPF_MAP_TYPE_ARRAY_OF_MAPS,
  BPF_MAP_TYPE_HASH,
  BPF_MAP_TYPE_LRU_HASH,
  BPF_MAP_TYPE_PROG_ARRAY,
  BPF_MAP_UPDATE_ELEM,
  BPF_OBJ_GET,
  BPF_OBJ_PIN,
  BPF_PROG_ATTACH,
  BPF_PROG_BIND_MAP,
  BPF_PROG_DETACH,
  BPF_PROG_GET_FD_BY_ID,
  BPF_PROG_LOAD,
  BPF_PROG_TYPE_SCHED_CLS,
  BPF_PROG_TYPE_XDP,
  BPF_TCX_EGRESS,
  BPF_TCX_INGRESS,
  BPF_XDP,
  cString,
} from '@libbpf-ts/uapi';

/** Deterministic numbers (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }
  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

const GPL = cString('GPL');
const PINS = ['a', 'b', 'c', 'dir/d'];

/** r0 = 0; exit, with a load of a map's address before it where an fd is given. */
export function smallProgram(mapFd?: number): Uint8Array {
  const load = mapFd === undefined ? [] : [0x18, 0x11, 0, 0, ...u32Bytes(mapFd), 0, 0, 0, 0, 0, 0, 0, 0];
  return Uint8Array.from([...load, 0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]);
}

export function u32Bytes(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

/** One storm; every step is one random act of one random process. */
export class Storm {
  readonly #kernel: Kernel;
  readonly #random: Random;
  readonly tasks: Task[] = [];
  #born = 0;

  constructor(kernel: Kernel, seed: number) {
    this.#kernel = kernel;
    this.#random = new Random(seed);
    const tree = kernel.files;
    if (tree.resolve('/sys/fs/bpf').kind === 'dir') {
      try {
        tree.mkdir('/sys/fs/bpf/dir');
      } catch {
        // A storm before this one made it.
      }
    }
  }

  step(): void {
    if (this.tasks.length === 0 || (this.tasks.length < 4 && this.#random.below(10) === 0))
      this.tasks.push(this.#kernel.task(`task${++this.#born}`));
    this.#random.of(ACTS).call(undefined, this.#random.of(this.tasks), this.#random, this);
  }

  crash(task: Task): void {
    this.tasks.splice(this.tasks.indexOf(task), 1);
    task.exit();
  }

  get devices(): readonly NetDevice[] {
    return netOf(this.#kernel).init.devices;
  }

  /** Everybody crashes, pins and devices are removed: nothing may be left. */
  end(): void {
    for (const task of Array.from(this.tasks)) this.crash(task);
    for (const name of PINS) {
      const helper = this.#kernel.task('cleaner');
      helper.unlink(`/sys/fs/bpf/${name}`);
      helper.exit();
    }
    const { init } = netOf(this.#kernel);
    for (const device of init.devices) if (device.name !== 'lo') init.removeDevice(device);
    const helper = this.#kernel.task('cleaner');
    for (const attach_type of [BPF_TCX_INGRESS, BPF_TCX_EGRESS])
      while (helper.bpf(BPF_PROG_DETACH, { target_ifindex: 1, attach_type }) === 0);
    helper.exit();
  }
}

type Act = (task: Task, random: Random, storm: Storm) => void;

const anyFd = (task: Task, random: Random): number => {
  const open = [...task.fds].map(([fd]) => fd);
  return random.below(12) === 0 ? random.below(40) : random.of(open);
};
const ifindex = (storm: Storm, random: Random): number => random.of(storm.devices).ifindex;
const hook = (random: Random): number => random.of([BPF_TCX_INGRESS, BPF_TCX_EGRESS]);

const ACTS: readonly Act[] = [
  (task, random) => {
    const map_type = random.of([BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_PROG_ARRAY]);
    task.bpf(BPF_MAP_CREATE, {
      map_type,
      key_size: 4,
      value_size: map_type === BPF_MAP_TYPE_PROG_ARRAY ? 4 : 8,
      max_entries: 4,
    });
  },
  (task, random) => {
    task.bpf(BPF_MAP_CREATE, {
      map_type: BPF_MAP_TYPE_ARRAY_OF_MAPS,
      key_size: 4,
      value_size: 4,
      max_entries: 2,
      inner_map_fd: anyFd(task, random),
    });
  },
  loadProgram,
  loadProgram,
  (task, random, storm) => {
    task.bpf(BPF_LINK_CREATE, {
      prog_fd: anyFd(task, random),
      target_ifindex: ifindex(storm, random),
      attach_type: random.below(4) === 0 ? BPF_XDP : hook(random),
    });
  },
  (task, random, storm) => {
    task.bpf(BPF_PROG_ATTACH, {
      attach_bpf_fd: anyFd(task, random),
      target_ifindex: ifindex(storm, random),
      attach_type: hook(random),
    });
  },
  (task, random, storm) => {
    task.bpf(BPF_PROG_DETACH, {
      attach_bpf_fd: random.below(2) * anyFd(task, random),
      target_ifindex: ifindex(storm, random),
      attach_type: hook(random),
    });
  },
  (task, random) => void task.bpf(BPF_LINK_UPDATE, { link_fd: anyFd(task, random), new_prog_fd: anyFd(task, random) }),
  (task, random) => void task.bpf(BPF_LINK_DETACH, { link_fd: anyFd(task, random) }),
  (task, random) =>
    void task.bpf(BPF_OBJ_PIN, { bpf_fd: anyFd(task, random), pathname: cString(`/sys/fs/bpf/${random.of(PINS)}`) }),
  (task, random) => void task.bpf(BPF_OBJ_GET, { pathname: cString(`/sys/fs/bpf/${random.of(PINS)}`) }),
  (task, random) => void task.unlink(`/sys/fs/bpf/${random.of(PINS)}`),
  (task, random) => void task.rename(`/sys/fs/bpf/${random.of(PINS)}`, `/sys/fs/bpf/${random.of(PINS)}`),
  (task, random) => {
    const value = random.below(2) === 0 ? u32Bytes(anyFd(task, random)) : new Uint8Array(8);
    task.bpf(BPF_MAP_UPDATE_ELEM, { map_fd: anyFd(task, random), key: u32Bytes(random.below(5)), value });
  },
  (task, random) => void task.bpf(BPF_MAP_DELETE_ELEM, { map_fd: anyFd(task, random), key: u32Bytes(random.below(5)) }),
  (task, random) =>
    void task.bpf(BPF_MAP_LOOKUP_ELEM, {
      map_fd: anyFd(task, random),
      key: u32Bytes(random.below(5)),
      value: new Uint8Array(8),
    }),
  (task, random) => void task.bpf(BPF_MAP_FREEZE, { map_fd: anyFd(task, random) }),
  (task, random) => void task.bpf(BPF_PROG_BIND_MAP, { prog_fd: anyFd(task, random), map_fd: anyFd(task, random) }),
  (task, random) => void task.bpf(BPF_PROG_GET_FD_BY_ID, { prog_id: random.below(60) }),
  (task, random) => void task.bpf(BPF_MAP_GET_FD_BY_ID, { map_id: random.below(60) }),
  (task, random) => void task.bpf(BPF_BTF_LOAD, { btf: new Uint8Array(24), btf_size: random.below(25) }),
  (task, random) => {
    if (task.fds.get(3)) task.close(anyFd(task, random));
  },
  (task, random) => void task.dup(anyFd(task, random)),
  (task, random, storm) => {
    if (random.below(3) === 0) storm.crash(task);
  },
  (task, random, storm) => {
    const { init } = netOf(task.kernel);
    if (storm.devices.length < 3) init.addDevice();
    else if (random.below(3) === 0) init.removeDevice(random.of(storm.devices.filter(({ name }) => name !== 'lo')));
  },
];

function loadProgram(task: Task, random: Random): void {
  const insns = smallProgram(random.below(3) === 0 ? undefined : anyFd(task, random));
  task.bpf(BPF_PROG_LOAD, {
    prog_type: random.below(4) === 0 ? BPF_PROG_TYPE_XDP : BPF_PROG_TYPE_SCHED_CLS,
    insns,
    insn_cnt: insns.length / 8,
    license: GPL,
    expected_attach_type: 0,
  });
}
