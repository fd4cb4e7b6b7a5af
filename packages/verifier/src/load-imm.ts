/** 64-bit immediates: constants, maps, map values, functions and kernel symbols (`check_ld_imm`). */

import type { BpfInsn } from '@libbpf-ts/isa';
import { skipModifiers } from './btf-access.ts';
import type { Env } from './env.ts';
import { checkDst } from './operands.ts';
import { markConstScalar, markPointer } from './register.ts';
import * as T from './regtype.ts';
import type { VerifierBtf } from './types.ts';

const BPF_MAP_TYPE_ARENA = 33;

export function loadImm64(env: Env, insn: BpfInsn): void {
  if (insn.off !== 0) env.refuse('EINVAL', 'BPF_LD_IMM64 uses reserved fields');
  checkDst(env, insn.dst_reg);
  const reg = env.reg(insn.dst_reg);
  const next = env.insns[env.insnIdx + 1]!;
  const load = env.pseudoLoads.get(env.insnIdx);
  if (!load) {
    markConstScalar(reg, next.imm, insn.imm);
    reg.precise = !env.bpfCapable;
    return;
  }
  switch (load.kind) {
    case 'func': {
      const number = env.subprogOf[env.insnIdx + insn.imm + 1]!;
      const subprog = env.subprogs[number]!;
      if (subprog.isGlobal) env.refuse('EINVAL', 'callback function not static');
      markPointer(reg, T.PTR_TO_FUNC);
      reg.subprogno = number;
      return;
    }
    case 'map':
      markPointer(reg, T.CONST_PTR_TO_MAP);
      reg.map = load.map;
      return;
    case 'map-value':
      markPointer(reg, T.PTR_TO_MAP_VALUE);
      reg.map = load.map;
      reg.off = load.off!;
      if (load.map!.map_type === BPF_MAP_TYPE_ARENA) env.markUnknown(reg);
      // There is one value only: it needs no id to be told from another, also where it holds a lock.
      return;
    default:
      loadSymbol(env, insn, load.btf_id!);
  }
}

/** The address of a kernel variable or function. */
function loadSymbol(env: Env, insn: BpfInsn, id: number): void {
  const reg = env.reg(insn.dst_reg);
  const btf = env.kernelBtf!;
  const symbol = btf.type(id)!;
  if (symbol.kind === 'FUNC') {
    markPointer(reg, T.PTR_TO_MEM | T.MEM_RDONLY);
    return;
  }
  const { type, id: plain } = skipModifiers(btf, symbol.type);
  const percpu = isPercpu(btf, id);
  if (percpu || type?.kind === 'STRUCT') {
    markPointer(reg, T.PTR_TO_BTF_ID | (percpu ? T.MEM_PERCPU : 0));
    reg.btf = btf;
    reg.btfId = plain;
    return;
  }
  markPointer(reg, T.PTR_TO_MEM | T.MEM_RDONLY);
  reg.memSize = type?.size ?? 0;
}

/** Is there one of the variable for each processor? */
const isPercpu = (btf: VerifierBtf, id: number): boolean =>
  btf.type(btf.find('.data..percpu', 'DATASEC'))?.members.some(({ type }) => type === id) ?? false;
