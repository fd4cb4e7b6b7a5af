/** An in-process kernel whose interpreter is watched: programs are loaded and run on a packet, and what they may not do is told. */

import { encode } from '@libbpf-ts/isa';
import { BPF_BTF_LOAD, BPF_MAP_CREATE, BPF_MAP_UPDATE_ELEM, BPF_PROG_LOAD, BPF_PROG_TEST_RUN } from '@libbpf-ts/uapi';
import type { BpfFuncProto, VerifierOps, VerifierRequest, VerifierResult } from '@libbpf-ts/verifier';
import { isVmTrap, paranoidEngine } from '@libbpf-ts/vm';
import type { VmHelper } from '@libbpf-ts/vm';
import { createKernel } from '@libbpf-ts/vmlinux';
import { progType } from './case.ts';
import type { Assembled } from './case.ts';
import { MAPS } from './maps.ts';
import { ObjectWatch } from './object-watch.ts';
import { factsOf, OPS, variant } from './program-types.ts';
import { SETTINGS } from './random-writer.ts';

const PER_CPU = [5, 6];
const FILLED = [1, 2, 5, 6, 9];
const CPUS = 2;
const HELPERS = 220;

/** What became of a program. */
export interface Outcome {
  readonly ran: boolean;
  readonly violations: readonly string[];
}

export class WatchedKernel {
  readonly #blocks = new Map<number, number>();
  readonly #maps = new Map<string, number>();
  readonly #protos = new Map<number, ReadonlyMap<string, BpfFuncProto>>();
  readonly #task: ReturnType<ReturnType<typeof createKernel>['task']>;
  readonly #watch: ObjectWatch;
  #sorted: number[] | undefined = undefined;
  #type = 0;

  /** `verify` stands in for the verifier: one that lies shows that the watch sees. */
  constructor(verify?: (request: VerifierRequest) => VerifierResult) {
    const engine = paranoidEngine({
      access: (...args) => this.#watch.access(...args),
      begins: (...args) => this.#watch.begins(...args),
    });
    const kernel = createKernel({ engines: [engine], ...(verify ? { verify } : {}) });
    this.#watch = new ObjectWatch({
      runtime: kernel.runtime,
      mapAt: (address) => kernel.mapAt(address),
      isAlive: (address, size) => this.#isAlive(address, size),
      proto: (name) => this.#proto(name),
    });
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
    const { stackStart, stackEnd } = kernel.runtime;
    this.#blocks.set(stackStart, stackEnd - stackStart);
    const helperOf = kernel.helperOf.bind(kernel);
    const wrapped = new Map<VmHelper, VmHelper>();
    kernel.helperOf = (factory) => {
      const helper = helperOf(factory);
      const known = wrapped.get(helper) ?? this.#watch.wrap(helper);
      wrapped.set(helper, known);
      return known;
    };
    this.#task = kernel.task('soundness');
  }

  get checked(): number {
    return this.#watch.checked;
  }

  #isAlive(address: number, size: number): boolean {
    this.#sorted ??= [...this.#blocks.keys()].sort((a, b) => a - b);
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#sorted[middle]! <= address) low = middle + 1;
      else high = middle;
    }
    const start = this.#sorted[low - 1];
    return start !== undefined && address + size <= start + this.#blocks.get(start)!;
  }

  #proto(name: string): BpfFuncProto | undefined {
    let known = this.#protos.get(this.#type);
    if (!known) this.#protos.set(this.#type, (known = protosOf(this.#type)));
    return known.get(name);
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

  /** Loads the program and, where it is accepted, runs it on a packet that `seed` makes. */
  try(of: Assembled, seed: number): Outcome {
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
    if (prog_fd < 0) return { ran: false, violations: [] };
    try {
      return this.#run(of, prog_fd, seed);
    } finally {
      this.#task.close(prog_fd);
    }
  }

  #run({ program }: Assembled, prog_fd: number, seed: number): Outcome {
    const data = new Uint8Array(64 + (seed % 200)).map((_, index) => index * 37 + seed);
    const packet = SETTINGS.find((setting) => setting.program.type === program.type)?.packet;
    this.#type = progType(program.type);
    this.#watch.prepare({ program, ...(packet ? { packet } : {}) });
    const attr =
      program.type === 'raw_tracepoint'
        ? { prog_fd, ctx_in: data.slice(0, 32), ctx_size_in: 32, retval: 0 }
        : { prog_fd, data_in: data, data_size_in: data.length, repeat: 1, retval: 0 };
    let result = 0;
    try {
      result = this.#task.bpf(BPF_PROG_TEST_RUN, attr);
    } catch (error) {
      if (!isVmTrap(error)) throw error;
      return { ran: true, violations: [...this.#watch.violations, error.message] };
    }
    if (result === 0) this.#watch.finish();
    const { violations } = this.#watch;
    const range = OPS.get(this.#type)?.returnRange?.(facts(this.#type, program.attach ?? 0));
    const retval = attr.retval | 0;
    if (result === 0 && range && (retval < range.min || retval > range.max))
      return { ran: true, violations: [...violations, `returns ${retval}, not ${range.min} to ${range.max}`] };
    return { ran: result === 0, violations: [...violations] };
  }
}

const facts = (prog_type: number, attach_type: number): ReturnType<typeof factsOf> =>
  factsOf(variant({ prog_type, attach_type, flags: 0, attach_name: '' }, ''));

function protosOf(prog_type: number): Map<string, BpfFuncProto> {
  const ops: VerifierOps = OPS.get(prog_type)!;
  const found = new Map<string, BpfFuncProto>();
  for (let id = 1; id < HELPERS; id++) {
    const proto = ops.funcProto(id, facts(prog_type, 0));
    if (proto) found.set(proto.name, proto);
  }
  return found;
}
