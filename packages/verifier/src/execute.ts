/** One instruction on one path: dispatch by class (`do_check_insn`). */

import type { BpfInsn } from '@libbpf-ts/isa';
import { checkAlu } from './alu.ts';
import { checkAtomic } from './atomics.ts';
import { checkConditionalJump } from './branches.ts';
import type { Env } from './env.ts';
import { checkThrowLeaks } from './exceptions.ts';
import { checkHelperCall } from './helper-calls.ts';
import { checkKfuncCall } from './kfunc-calls.ts';
import { loadImm64 } from './load-imm.ts';
import { checkMemAccess } from './memory.ts';
import { checkDst, checkSrc } from './operands.ts';
import { checkPacketLoad } from './ld-packet.ts';
import { checkResources } from './references.ts';
import { baseType, PTR_TO_BTF_ID } from './regtype.ts';
import { isRewritten } from './access-rules.ts';
import { checkReturnCode } from './return-code.ts';
import { checkSubprogCall, returnFromCallee, followTailCall } from './subprog-calls.ts';
import { isTailCall } from './subprograms.ts';

const SIZES: Readonly<Record<number, number>> = { 0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8 };

/** Executes the current instruction; true where the path ends with it. Moves `env.insnIdx` on. */
export function executeInsn(env: Env, insn: BpfInsn): boolean {
  switch (insn.code & 7) {
    case 4:
    case 7:
      checkAlu(env, insn);
      break;
    case 1:
      load(env, insn);
      break;
    case 3:
      if ((insn.code & 0xe0) === 0xc0) checkAtomic(env, insn);
      else store(env, insn);
      break;
    case 2:
      storeImmediate(env, insn);
      break;
    case 0:
      if (insn.code === 0x18) {
        loadImm64(env, insn);
        env.insnIdx++;
      } else {
        checkPacketLoad(env, insn);
      }
      break;
    default:
      return jump(env, insn);
  }
  env.insnIdx++;
  return false;
}

function load(env: Env, insn: BpfInsn): void {
  const { code, dst_reg, src_reg, off } = insn;
  checkSrc(env, src_reg);
  checkDst(env, dst_reg);
  const { type } = env.reg(src_reg);
  const signed = (code & 0xe0) === 0x80;
  checkMemAccess(env, { regno: src_reg, off, size: SIZES[code & 0x18]!, write: false, value: dst_reg, signed });
  keepPointerType(env, type, true);
}

function store(env: Env, insn: BpfInsn): void {
  const { code, dst_reg, src_reg, off, imm } = insn;
  if ((code & 0xe0) !== 0x60 || imm !== 0) env.refuse('EINVAL', 'BPF_STX uses reserved fields');
  checkSrc(env, src_reg);
  checkSrc(env, dst_reg);
  const { type } = env.reg(dst_reg);
  checkMemAccess(env, { regno: dst_reg, off, size: SIZES[code & 0x18]!, write: true, value: src_reg });
  keepPointerType(env, type, false);
}

function storeImmediate(env: Env, insn: BpfInsn): void {
  const { code, dst_reg, src_reg, off, imm } = insn;
  if ((code & 0xe0) !== 0x60 || src_reg !== 0) env.refuse('EINVAL', 'BPF_ST uses reserved fields');
  checkSrc(env, dst_reg);
  const { type } = env.reg(dst_reg);
  checkMemAccess(env, { regno: dst_reg, off, size: SIZES[code & 0x18]!, write: true, value: -1, imm });
  keepPointerType(env, type, false);
}

/** An access that is rewritten by kind of pointer must meet one kind only (`save_aux_ptr_type`). */
export function keepPointerType(env: Env, type: number, allowTrustMismatch: boolean): void {
  const known = env.ptrType[env.insnIdx]!;
  if (known === 0) {
    env.ptrType[env.insnIdx] = type;
    return;
  }
  if (known === type || !(isRewritten(type) || isRewritten(known))) return;
  const bothBtf = baseType(type) === PTR_TO_BTF_ID && baseType(known) === PTR_TO_BTF_ID;
  if (allowTrustMismatch && bothBtf) {
    // The weaker of the two wins: the load may fault.
    env.probeLoads.add(env.insnIdx);
    return;
  }
  env.refuse('EINVAL', 'same insn cannot be used with different pointers');
}

function jump(env: Env, insn: BpfInsn): boolean {
  const { code, src_reg, dst_reg, off, imm } = insn;
  const op = code & 0xf0;
  env.jmpsProcessed++;
  if (op === 0x80) return call(env, insn);
  if (op === 0x00) {
    const far = (code & 7) === 6;
    if (code & 8 || src_reg !== 0 || dst_reg !== 0 || (far ? off !== 0 : imm !== 0)) {
      env.refuse('EINVAL', 'BPF_JA uses reserved fields');
    }
    env.insnIdx += 1 + (far ? imm : off);
    return false;
  }
  if (op === 0x90) {
    if (code & 8 || imm !== 0 || src_reg !== 0 || dst_reg !== 0 || (code & 7) === 6)
      env.refuse('EINVAL', 'BPF_EXIT uses reserved fields');
    return exit(env);
  }
  checkConditionalJump(env, insn);
  return false;
}

/** True where the path ends with the call. */
function call(env: Env, insn: BpfInsn): boolean {
  const { code, src_reg, dst_reg, off, imm } = insn;
  const pseudo = src_reg > 2;
  if (code !== 0x85 || pseudo || dst_reg !== 0 || (src_reg !== 2 && off !== 0)) {
    env.refuse('EINVAL', 'BPF_CALL uses reserved fields');
  }
  const isUnlock = src_reg === 0 && imm === 94;
  if (env.cur.activeLocks && !isUnlock && src_reg === 0) {
    env.refuse('EINVAL', 'function calls are not allowed while holding a lock');
  }
  if (src_reg === 1) {
    checkSubprogCall(env, insn);
    return false;
  }
  if (src_reg === 2) {
    if (checkKfuncCall(env, insn)) {
      checkThrowLeaks(env);
      return true;
    }
  } else {
    checkHelperCall(env, insn);
    if (isTailCall(insn) && env.cur.curframe > 0) {
      followTailCall(env);
      return false;
    }
  }
  env.insnIdx++;
  return false;
}

function exit(env: Env): boolean {
  const { cur } = env;
  checkResources(env, false, cur.curframe === 0, 'BPF_EXIT instruction in main prog');
  if (cur.curframe > 0) {
    returnFromCallee(env);
    return false;
  }
  checkReturnCode(env);
  return true;
}
