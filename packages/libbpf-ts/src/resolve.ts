/** The last relocations of a linked program: map file descriptors, addresses of variables, symbols of the kernel. */

import { essentialName, typesAreCompatible, type Btf } from '@libbpf-ts/btf';
import {
  BPF_PSEUDO_BTF_ID,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_PSEUDO_MAP_FD,
  BPF_PSEUDO_MAP_VALUE,
  type BpfInsn,
} from '@libbpf-ts/isa';
import { LoaderError } from './errors.ts';
import type { LinkedProgram } from './link.ts';
import type { ExternSpec, ObjectSpec } from './spec.ts';

/** A call of a function that nobody defines becomes a call of this helper number plus the extern's index: refused if reachable. */
export const EXTERN_POISON_BASE = 2002000000;

export interface Resolvers {
  /** File descriptor of a map, creating it where it is not there yet. */
  mapFd(name: string): number;
  kernelBtf(): Btf | undefined;
  /** Address of a kernel symbol that BTF has no type for. */
  symbolAddress(name: string): bigint | undefined;
}

/** The program's instructions as a kernel takes them. Mirrors `bpf_object__relocate_data`. */
export function resolveProgram(spec: ObjectSpec, linked: LinkedProgram, resolvers: Resolvers): BpfInsn[] {
  const insns = [...linked.insns];
  for (const { insn, target, from } of linked.relocations) {
    if (linked.poisoned.has(insn)) continue;
    switch (target.kind) {
      case 'map':
        setWide(insns, insn, BPF_PSEUDO_MAP_FD, resolvers.mapFd(target.map), 0);
        break;
      case 'data':
        setWide(insns, insn, BPF_PSEUDO_MAP_VALUE, resolvers.mapFd(target.map), target.offset);
        break;
      case 'extern':
        resolveExtern(spec, insns, insn, target.name, from, resolvers);
        break;
      default:
        break;
    }
  }
  return insns;
}

function setWide(insns: BpfInsn[], index: number, src_reg: number, low: number, high: number): void {
  insns[index] = { ...insns[index]!, src_reg, imm: low | 0 };
  insns[index + 1] = { ...insns[index + 1]!, imm: high | 0 };
}

function resolveExtern(
  spec: ObjectSpec,
  insns: BpfInsn[],
  index: number,
  name: string,
  program: string,
  resolvers: Resolvers,
): void {
  const number = spec.externs.findIndex((item) => item.name === name);
  const item: ExternSpec = spec.externs[number] ?? { name, weak: false, kind: 'unknown', btf_id: 0, offset: 0, size: 0 };
  if (insns[index]!.code === 0x85) return resolveCall(spec, insns, index, item, number, resolvers);
  switch (item.kind) {
    case 'kconfig': {
      const map = spec.maps.find(({ origin }) => origin === 'kconfig')!;
      return setWide(insns, index, BPF_PSEUDO_MAP_VALUE, resolvers.mapFd(map.name), item.offset);
    }
    case 'ksym':
    case 'kfunc':
      return resolveSymbol(spec, insns, index, item, program, resolvers);
    case 'unknown':
      throw new LoaderError(
        'LOADER_UNRESOLVED',
        `extern ${name} is declared in neither .kconfig nor .ksyms`,
        { program, insn: index },
        { errno: 'ENOENT' },
      );
  }
}

/** A kernel function by its BTF; where there is none the call is poisoned, so that code which never reaches it still loads. */
function resolveCall(
  spec: ObjectSpec,
  insns: BpfInsn[],
  index: number,
  item: ExternSpec,
  number: number,
  resolvers: Resolvers,
): void {
  const kernel = item.kind === 'kfunc' ? resolvers.kernelBtf() : undefined;
  const local = item.btf_id ? spec.btf?.type(item.btf_id) : undefined;
  const found = kernel
    ?.idsByName(essentialName(item.name), 'FUNC')
    .map((id) => kernel.type(id))
    .find(
      (type) => type.kind === 'FUNC' && local?.kind === 'FUNC' && typesAreCompatible(spec.btf!, local.type, kernel, type.type),
    );
  insns[index] = found
    ? { ...insns[index]!, src_reg: BPF_PSEUDO_KFUNC_CALL, off: 0, imm: found.id }
    : { code: 0x85, dst_reg: 0, src_reg: 0, off: 0, imm: EXTERN_POISON_BASE + Math.max(number, 0) };
}

function resolveSymbol(
  spec: ObjectSpec,
  insns: BpfInsn[],
  index: number,
  item: ExternSpec,
  program: string,
  resolvers: Resolvers,
): void {
  const kernel = resolvers.kernelBtf();
  const id = kernel?.idsByName(essentialName(item.name), item.kind === 'kfunc' ? 'FUNC' : 'VAR')[0];
  if (id !== undefined) return setWide(insns, index, BPF_PSEUDO_BTF_ID, id, 0);
  const address = resolvers.symbolAddress(item.name) ?? (item.weak ? 0n : undefined);
  if (address === undefined) {
    throw new LoaderError(
      'LOADER_UNRESOLVED',
      `extern ${item.name} is not in the kernel's BTF`,
      { program, insn: index, symbol: item.name },
      { errno: 'ESRCH' },
    );
  }
  setWide(insns, index, 0, Number(BigInt.asIntN(32, address)), Number(BigInt.asIntN(32, address >> 32n)));
}

/** What the poisoned calls of a log stand for, in the words of libbpf. */
export function explainPoison(spec: ObjectSpec, linked: LinkedProgram, log: string): string {
  const lines = log.split('\n').map((line) => {
    const match = /^\s*invalid func unknown#(\d+)$/.exec(line);
    return match ? (poisonText(spec, linked, Number(match[1]), log) ?? line) : line;
  });
  return lines.join('\n');
}

function poisonText(spec: ObjectSpec, linked: LinkedProgram, helper: number, log: string): string | undefined {
  if (helper >= EXTERN_POISON_BASE) {
    const item = spec.externs[helper - EXTERN_POISON_BASE];
    const what = item?.kind === 'kfunc' ? 'kfunc' : 'function';
    return item && `${what} '${item.name}' is referenced but wasn't resolved`;
  }
  const at = [...log.matchAll(/^(\d+): \(85\) call unknown#(\d+)/gm)].findLast((match) => Number(match[2]) === helper);
  const text =
    linked.poisoned.get(Number(at?.[1] ?? -1)) ?? (linked.poisoned.size === 1 ? [...linked.poisoned.values()][0] : undefined);
  return text && `failed to resolve CO-RE relocation ${text}`;
}

/** The type that a program is about, in the kernel's BTF: its id for `attach_btf_id`. */
export function findAttachType(kernel: Btf, prefix: string, name: string, kind: 'FUNC' | 'TYPEDEF'): number | undefined {
  return kernel.idsByName(`${prefix}${name}`, kind)[0];
}
