/**
 * Accepted random programs run in the paranoid interpreter: every access outside of the stack must lie inside one live block of the
 * arena. SOUNDNESS=count asks for more than a few.
 */

import { expect, test } from 'vitest';
import { encode } from '@libbpf-ts/isa';
import { BPF_BTF_LOAD, BPF_MAP_CREATE, BPF_MAP_UPDATE_ELEM, BPF_PROG_LOAD, BPF_PROG_TEST_RUN } from '@libbpf-ts/uapi';
import { paranoidEngine } from '@libbpf-ts/vm';
import { createKernel } from '@libbpf-ts/vmlinux';
import { assembleProgram, progType } from './support/case.ts';
import type { Assembled } from './support/case.ts';
import { MAPS } from './support/maps.ts';
import { randomProgram } from './support/random-program.ts';

const COUNT = Number(process.env['SOUNDNESS'] ?? 150);
/** Types that BPF_PROG_TEST_RUN runs. */
const RUNNABLE = ['sched_cls', 'xdp', 'socket_filter', 'cgroup_skb', 'lwt_xmit', 'raw_tracepoint'];
const PER_CPU = [5, 6];
const FILLED = [1, 5, 6, 9];
const CPUS = 2;

/** A kernel that knows its live blocks and counts accesses outside of them. */
class WatchedKernel {
  readonly #blocks = new Map<number, number>();
  readonly #maps = new Map<string, number>();
  readonly #task: ReturnType<ReturnType<typeof createKernel>['task']>;
  #sorted: number[] | undefined = undefined;
  checked = 0;
  denied = 0;

  constructor() {
    const kernel = createKernel({ engines: [paranoidEngine((address, size) => this.#allowed(address >>> 0, size))] });
    const { arena } = kernel;
    const take = arena.tryAllocate.bind(arena);
    const free = arena.free.bind(arena);
    arena.tryAllocate = (size, align) => {
      const address = take(size, align);
      if (address) this.#blocks.set(address, size);
      this.#sorted = undefined;
      return address;
    };
    arena.free = (address) => {
      this.#blocks.delete(address);
      this.#sorted = undefined;
      free(address);
    };
    this.#task = kernel.task('soundness');
  }

  #allowed(address: number, size: number): boolean {
    this.checked++;
    this.#sorted ??= [...this.#blocks.keys()].sort((a, b) => a - b);
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#sorted[middle]! <= address) low = middle + 1;
      else high = middle;
    }
    const start = this.#sorted[low - 1];
    const allowed = start !== undefined && address + size <= start + this.#blocks.get(start)!;
    if (!allowed) this.denied++;
    return allowed;
  }

  #map(name: string): number {
    const known = this.#maps.get(name);
    if (known !== undefined) return known;
    const spec = MAPS[name]!;
    const btf = spec.btf ? new Uint8Array(Buffer.from(spec.btf, 'hex')) : undefined;
    const fd = this.#task.bpf(BPF_MAP_CREATE, {
      map_type: spec.type,
      key_size: spec.key,
      value_size: spec.value,
      max_entries: spec.max,
      map_flags: spec.flags ?? 0,
      ...(spec.inner ? { inner_map_fd: this.#map(spec.inner) } : {}),
      ...(btf
        ? {
            btf_fd: this.#task.bpf(BPF_BTF_LOAD, { btf, btf_size: btf.length }),
            btf_key_type_id: spec.key_type,
            btf_value_type_id: spec.value_type,
          }
        : {}),
    });
    if (fd < 0) throw new Error(`map ${name}: ${fd}`);
    this.#maps.set(name, fd);
    for (let first = 0; FILLED.includes(spec.type) && first < 3; first++) {
      const value = new Uint8Array(PER_CPU.includes(spec.type) ? spec.value * CPUS : spec.value);
      const key = new Uint8Array(spec.key);
      key[0] = first;
      this.#task.bpf(BPF_MAP_UPDATE_ELEM, { map_fd: fd, key, value, flags: 0n });
    }
    return fd;
  }

  /** Loads the program and, where it is accepted, runs it; the number of runs. */
  try(of: Assembled, seed: number): number {
    const insns = encode(
      of.insns.map((insn) =>
        insn.code === 0x18 && (insn.src_reg === 1 || insn.src_reg === 2)
          ? { ...insn, imm: this.#map(of.use[insn.imm]!) }
          : insn,
      ),
    );
    const { program, btf } = of;
    const prog_btf_fd = btf ? this.#task.bpf(BPF_BTF_LOAD, { btf, btf_size: btf.length }) : 0;
    const func_info = new Uint8Array(new Uint32Array(of.func_info.flat()).buffer);
    const prog_fd = this.#task.bpf(BPF_PROG_LOAD, {
      prog_type: progType(program.type),
      insns,
      insn_cnt: insns.length / 8,
      expected_attach_type: program.attach ?? 0,
      license: new TextEncoder().encode(`${program.license ?? 'GPL'}\0`),
      ...(btf ? { prog_btf_fd, func_info, func_info_cnt: of.func_info.length, func_info_rec_size: 8 } : {}),
    });
    if (btf) this.#task.close(prog_btf_fd);
    if (prog_fd < 0) return 0;
    const data = new Uint8Array(64 + (seed % 200)).map((_, index) => index * 37 + seed);
    const raw = program.type === 'raw_tracepoint';
    const result = this.#task.bpf(
      BPF_PROG_TEST_RUN,
      raw
        ? { prog_fd, ctx_in: data.slice(0, 32), ctx_size_in: 32 }
        : { prog_fd, data_in: data, data_size_in: data.length, repeat: 1 },
    );
    this.#task.close(prog_fd);
    return result < 0 ? 0 : 1;
  }
}

test(`${COUNT} random programs touch only what is theirs`, { timeout: 7_200_000 }, () => {
  let kernel = new WatchedKernel();
  let runs = 0;
  let checked = 0;
  for (let seed = 1; seed <= COUNT; seed++) {
    if (seed % 200 === 0) {
      checked += kernel.checked;
      kernel = new WatchedKernel();
    }
    const program = randomProgram(seed);
    if (!RUNNABLE.includes(program.type)) continue;
    runs += kernel.try(assembleProgram(program), seed);
    expect(kernel.denied, `seed ${seed} reaches outside`).toBe(0);
  }
  console.log(`${runs} runs, ${checked + kernel.checked} accesses checked`);
  expect(runs).toBeGreaterThan(COUNT / 5);
});
