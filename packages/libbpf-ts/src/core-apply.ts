/** CO-RE relocations of an object, applied function by function. */

import { BtfError, CoreResolver, coreSpecText, patchCore, type Btf, type CoreRelocation } from '@libbpf-ts/btf';
import type { BpfInsn } from '@libbpf-ts/isa';
import { LoaderError } from './errors.ts';
import type { ObjectSpec, ProgramSpec } from './spec.ts';

/** A function with its CO-RE relocations applied. */
export interface Relocated {
  readonly program: ProgramSpec;
  readonly insns: BpfInsn[];
  /** Instructions that were poisoned, with the relocation in words. */
  readonly poisoned: ReadonlyMap<number, string>;
}

/** Applies the relocations of an object against one kernel; asks for that kernel's BTF only when there is a relocation. */
export class CoreApplier {
  readonly #spec: ObjectSpec;
  readonly #kernelBtf: () => Btf | undefined;
  #resolver: CoreResolver | undefined;

  constructor(spec: ObjectSpec, kernelBtf: () => Btf | undefined) {
    this.#spec = spec;
    this.#kernelBtf = kernelBtf;
  }

  apply(program: ProgramSpec): Relocated {
    const insns = [...program.insns];
    const poisoned = new Map<number, string>();
    for (const { record, number, insn } of this.#recordsOf(program))
      this.#applyOne(program, insns, poisoned, record, number, insn);
    return { program, insns, poisoned };
  }

  #recordsOf(program: ProgramSpec): { record: CoreRelocation; number: number; insn: number }[] {
    const first = program.sectionInsn;
    return (this.#spec.btfExt?.coreRelocations ?? [])
      .filter(({ section }) => section === program.section)
      .flatMap(({ records }) => records.map((record, number) => ({ record, number, insn: record.insn_off / 8 - first })))
      .filter(({ insn }) => insn >= 0 && insn < program.insns.length);
  }

  #applyOne(
    program: ProgramSpec,
    insns: BpfInsn[],
    poisoned: Map<number, string>,
    record: CoreRelocation,
    number: number,
    insn: number,
  ): void {
    const place = { program: program.name, section: program.section, insn };
    const local = this.#spec.btf!;
    try {
      const result = this.#resolverFor(place).resolve({
        type_id: record.type_id,
        access: local.string(record.access_str_off),
        kind: record.kind,
      });
      patchCore(insns, insn, number, result);
      if (insns[insn]!.code === 0x85 && program.insns[insn]!.code !== 0x85) poisoned.set(insn, coreSpecText(result.local));
    } catch (error) {
      if (error instanceof BtfError) throw new LoaderError('LOADER_CORE', error.message, place, { cause: error });
      throw error;
    }
  }

  #resolverFor(place: { program: string; insn: number }): CoreResolver {
    if (!this.#resolver) {
      const kernel = this.#kernelBtf();
      if (!kernel) {
        throw new LoaderError(
          'LOADER_NO_KERNEL_BTF',
          "a CO-RE relocation needs the kernel's BTF, and this kernel gives none",
          place,
          { errno: 'ESRCH', hint: 'pass kernelBtf' },
        );
      }
      this.#resolver = new CoreResolver(this.#spec.btf!, [kernel]);
    }
    return this.#resolver;
  }
}
