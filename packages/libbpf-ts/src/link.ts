/** Links a program: appends the functions that it calls, and carries their relocations, function and line info along. */

import type { FuncInfo, LineInfo } from '@libbpf-ts/btf';
import type { BpfInsn } from '@libbpf-ts/isa';
import { BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC } from '@libbpf-ts/isa';
import type { Relocated } from './core-apply.ts';
import { LoaderError } from './errors.ts';
import { ByPlace } from './sorted.ts';
import type { ObjectSpec, ProgramRelocation, ProgramSpec } from './spec.ts';

export interface LinkedProgram {
  readonly program: ProgramSpec;
  readonly insns: BpfInsn[];
  /** Of maps, data and externs; calls are done. Instructions count from the start of the linked program. */
  readonly relocations: readonly (ProgramRelocation & { readonly from: string })[];
  /** Poisoned by CO-RE: instruction and relocation in words. */
  readonly poisoned: ReadonlyMap<number, string>;
  /** Instruction offsets, not bytes; empty where the object has none for the program. */
  readonly funcInfo: readonly FuncInfo[];
  readonly lineInfo: readonly LineInfo[];
}

/** Function and line info of an object by place; made once for all its programs. */
export interface InfoIndex {
  readonly functions: ByPlace<FuncInfo>;
  readonly lines: ByPlace<LineInfo>;
}

export function indexInfo(spec: ObjectSpec): InfoIndex {
  const functions = new ByPlace<FuncInfo>();
  const lines = new ByPlace<LineInfo>();
  spec.btfExt?.funcInfo.forEach(({ section, records }) =>
    records.forEach((record) => functions.add(section, record.insn_off, record)),
  );
  spec.btfExt?.lineInfo.forEach(({ section, records }) =>
    records.forEach((record) => lines.add(section, record.insn_off, record)),
  );
  return { functions: functions.sort(), lines: lines.sort() };
}

/** `relocate` gives each function its CO-RE relocations. Mirrors `bpf_object__reloc_code`: depth first, each function once. */
export function linkProgram(
  spec: ObjectSpec,
  info: InfoIndex,
  program: ProgramSpec,
  relocate: (program: ProgramSpec) => Relocated,
): LinkedProgram {
  return new Linker(spec, info, program, relocate).link();
}

class Linker {
  readonly #spec: ObjectSpec;
  readonly #info: InfoIndex;
  readonly #main: ProgramSpec;
  readonly #relocate: (program: ProgramSpec) => Relocated;
  readonly #starts = new Map<ProgramSpec, number>();
  readonly #insns: BpfInsn[] = [];
  readonly #relocations: (ProgramRelocation & { readonly from: string })[] = [];
  readonly #poisoned = new Map<number, string>();

  constructor(spec: ObjectSpec, info: InfoIndex, main: ProgramSpec, relocate: (program: ProgramSpec) => Relocated) {
    this.#spec = spec;
    this.#info = info;
    this.#main = main;
    this.#relocate = relocate;
  }

  link(): LinkedProgram {
    this.#append(this.#main);
    this.#calls(this.#main);
    this.#exceptionCallback();
    return {
      program: this.#main,
      insns: this.#insns,
      relocations: this.#relocations,
      poisoned: this.#poisoned,
      funcInfo: this.#funcInfo(),
      lineInfo: this.#lineInfo(),
    };
  }

  #append(program: ProgramSpec): number {
    if (program.fault)
      throw new LoaderError(program.fault.code, program.fault.message, {
        program: program.name,
        section: program.section,
        insn: program.fault.insn,
      });
    const start = this.#insns.length;
    const { insns, poisoned } = this.#relocate(program);
    this.#starts.set(program, start);
    this.#insns.push(...insns);
    poisoned.forEach((text, insn) => this.#poisoned.set(start + insn, text));
    for (const { insn, target } of program.relocations) {
      if (target.kind !== 'call' && target.kind !== 'function')
        this.#relocations.push({ insn: start + insn, target, from: program.name });
    }
    return start;
  }

  #calls(program: ProgramSpec): void {
    const start = this.#starts.get(program)!;
    for (const { insn, target } of program.relocations) {
      if (target.kind !== 'call' && target.kind !== 'function') continue;
      const callee = this.#functionAt(program, insn, target.section, target.index);
      let at = this.#starts.get(callee);
      if (at === undefined) {
        at = this.#append(callee);
        this.#calls(callee);
      }
      // A jump into the middle of a function stays one: the verifier judges it.
      const distance = at + (target.index - callee.sectionInsn) - (start + insn) - 1;
      this.#insns[start + insn] = {
        ...this.#insns[start + insn]!,
        src_reg: target.kind === 'call' ? BPF_PSEUDO_CALL : BPF_PSEUDO_FUNC,
        imm: distance,
      };
    }
  }

  /** Mirrors the end of libbpf's `bpf_object__relocate_calls`. */
  #exceptionCallback(): void {
    const name = this.#main.exceptionCallback;
    if (name === undefined) return;
    const callback = this.#spec.functions.find((other) => other.name === name && other.subprogram);
    if (!callback)
      throw new LoaderError(
        'LOADER_BAD_PROGRAM',
        `its exception callback '${name}' is no function of the object`,
        { program: this.#main.name },
        { errno: 'ENOENT' },
      );
    if (this.#starts.has(callback)) return;
    this.#append(callback);
    this.#calls(callback);
  }

  #functionAt(program: ProgramSpec, insn: number, section: number, index: number): ProgramSpec {
    const found = this.#spec.functions.find(
      (other) => other.sectionIndex === section && index >= other.sectionInsn && index < other.sectionInsn + other.insns.length,
    );
    if (found) return found;
    throw new LoaderError(
      'LOADER_BAD_RELOCATION',
      `a call of instruction ${index} of section ${section}, where no function is`,
      { program: program.name, section: program.section, insn },
    );
  }

  /** Function info counts only if each function of the program has it, the main one at its start. */
  #funcInfo(): FuncInfo[] {
    const own = [...this.#starts].map(([program, start]) => {
      const at = program.sectionInsn * 8;
      const found = this.#info.functions.between(program.section, at, at + 1)[0];
      return found && { insn_off: start, type_id: found.type_id };
    });
    return own.every((record) => record !== undefined) ? own : [];
  }

  #lineInfo(): LineInfo[] {
    return [...this.#starts].flatMap(([program, start]) => {
      const first = program.sectionInsn;
      return this.#info.lines
        .between(program.section, first * 8, (first + program.insns.length) * 8)
        .filter(({ insn_off }) => insn_off % 8 === 0)
        .map((record) => ({ ...record, insn_off: record.insn_off / 8 - first + start }));
    });
  }
}
