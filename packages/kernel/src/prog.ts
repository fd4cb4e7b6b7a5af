/** A loaded program. */

import type { BpfInsn } from '@libbpf-ts/isa';
import type { VerifierSuccess } from '@libbpf-ts/verifier';
import { KernelError } from '@libbpf-ts/uapi';
import { defaultEngines, type LoadedProgram, type VmProgram } from '@libbpf-ts/vm';

import type { BtfObject } from './btf-object.ts';
import type { Fork, Twinnable } from './fork.ts';
import { buildImage } from './image.ts';
import type { Kernel } from './kernel.ts';
import type { BpfMap } from './map.ts';
import { KernelObject } from './object.ts';
import type { ProgTypeOps } from './prog-type.ts';

/** What a program is from its load on. */
export interface ProgAttributes {
  readonly type: number;
  readonly expectedAttachType: number;
  /** prog_flags of BPF_PROG_LOAD: BPF_F_XDP_HAS_FRAGS, BPF_F_SLEEPABLE, … */
  readonly flags: number;
  readonly name: string;
  readonly license: string;
  readonly gplCompatible: boolean;
  /** As they were loaded: BPF_OBJ_GET_INFO_BY_FD gives these as `xlated_prog_insns`, since nothing is ever rewritten. */
  readonly insns: readonly BpfInsn[];
  /** The same as bytes. */
  readonly bytes: Uint8Array;
  /** 8 bytes; see tag.ts. */
  readonly tag: Uint8Array;
  readonly uid: number;
  /** Time of load, ns of the kernel's clock. */
  readonly loadTime: bigint;
  readonly attachBtfId: number;
  /** Raw records as they were given, for info. */
  readonly funcInfo: Uint8Array;
  readonly lineInfo: Uint8Array;
  /** What the verifier found out. */
  readonly verified: VerifierSuccess;
}

export class BpfProg extends KernelObject implements Twinnable {
  readonly kind = 'prog' as const;
  readonly attributes: ProgAttributes;
  /** In order of first use; BPF_PROG_BIND_MAP appends. */
  readonly usedMaps: BpfMap[] = [];
  btf: BtfObject | undefined;
  /** The program that this one extends or traces. */
  attachProg: BpfProg | undefined;
  runCnt = 0n;
  runTimeNs = 0n;
  recursionMisses = 0n;
  #loaded: LoadedProgram | undefined;
  #slot = 0;

  constructor(kernel: Kernel, attributes: ProgAttributes) {
    super(kernel);
    this.attributes = attributes;
  }

  get type(): number {
    return this.attributes.type;
  }
  get name(): string {
    return this.attributes.name;
  }
  get expectedAttachType(): number {
    return this.attributes.expectedAttachType;
  }
  /** This kernel's rules for its type. */
  get ops(): ProgTypeOps {
    return this.kernel.progTypes.get(this.attributes.type)!;
  }

  /** The first of its two slots of the function table: what hooks and prog_arrays hold. */
  get slot(): number {
    return this.#slot;
  }

  get loaded(): LoadedProgram {
    return (this.#loaded ??= this.kernel.runtime.programAt(this.#slot)!);
  }

  /**
   * Translates it and puts it into its slots. Maps must be held already. What is too large for the engine goes to the next one. Throws
   * ENOTSUPP where none can run it.
   */
  place(engine: string | undefined): void {
    this.#loaded = loadImage(this.kernel, buildImage(this.kernel, this), engine);
    this.#slot = this.#loaded.slot;
    this.kernel.progsBySlot.set(this.#slot, this);
    this.kernel.stats.track(this);
  }

  /** Runs it with r1 = `ctx`: the low half of r0 as int32. Throws VmTrap. */
  run(ctx: number): number {
    const { kernel } = this;
    kernel.enterRun();
    try {
      return kernel.stats.enabled ? kernel.stats.measure(this, ctx) : this.loaded.run(ctx);
    } finally {
      kernel.leaveRun();
    }
  }

  makeTwin(fork: Fork): BpfProg {
    const twin = new BpfProg(fork.kernel, this.attributes);
    fork.bind(this, twin);
    twin.copyHolds(this);
    twin.#slot = this.#slot;
    fork.kernel.progsBySlot.set(this.#slot, twin);
    twin.btf = fork.twinOf(this.btf);
    twin.attachProg = fork.twinOf(this.attachProg);
    for (const map of this.usedMaps) twin.usedMaps.push(fork.twin(map));
    twin.runCnt = this.runCnt;
    twin.runTimeNs = this.runTimeNs;
    twin.recursionMisses = this.recursionMisses;
    return twin;
  }

  protected free(): void {
    this.kernel.defer(() => {
      this.kernel.stats.untrack(this);
      if (this.#slot !== 0) {
        this.kernel.progsBySlot.delete(this.#slot);
        this.loaded.unload();
      }
      const holder = { kind: 'prog', id: this.id } as const;
      for (const map of this.usedMaps) map.release(holder);
      this.btf?.release(holder);
      this.attachProg?.release(holder);
    });
  }
}

function loadImage(kernel: Kernel, image: VmProgram, engine: string | undefined): LoadedProgram {
  const names = [
    engine,
    ...(kernel.options.engines ?? defaultEngines).map(({ name }) => name).filter((name) => name !== engine),
  ];
  let refusal: unknown;
  for (const name of engine === undefined ? names.slice(1) : names) {
    try {
      return kernel.runtime.load(image, name === undefined ? {} : { engine: name });
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'VM_ERROR') throw error;
      refusal ??= error;
    }
  }
  throw new KernelError('ENOTSUPP', `no engine can run it: ${(refusal as Error).message}`, 'insns');
}
