/** Atomic instructions: read-modify-write, exchange, load-acquire and store-release (`check_atomic`). */

import type { BpfInsn } from '@libbpf-ts/isa';
import type { Env } from './env.ts';
import { checkMemAccess } from './memory.ts';
import { checkDst, checkSrc } from './operands.ts';
import * as T from './regtype.ts';
import { keepPointerType } from './execute.ts';

const SIZES: Readonly<Record<number, number>> = { 0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8 };
const FETCH = 1;
const CMPXCHG = 0xf1;
const LOAD_ACQ = 0x100;
const STORE_REL = 0x110;
const OPERATIONS: ReadonlySet<number> = new Set([0x00, 0x01, 0x40, 0x41, 0x50, 0x51, 0xa0, 0xa1, 0xe1, CMPXCHG]);

export function checkAtomic(env: Env, insn: BpfInsn): void {
  const { imm, dst_reg, src_reg, off, code } = insn;
  const size = SIZES[code & 0x18]!;
  if (imm === LOAD_ACQ) {
    checkSrc(env, src_reg);
    checkDst(env, dst_reg);
    const { type } = env.reg(src_reg);
    refuseUnable(env, src_reg);
    checkMemAccess(env, { regno: src_reg, off, size, write: false, value: dst_reg, strict: true });
    keepPointerType(env, type, false);
    return;
  }
  if (imm === STORE_REL) {
    checkSrc(env, src_reg);
    checkSrc(env, dst_reg);
    const { type } = env.reg(dst_reg);
    refuseUnable(env, dst_reg);
    checkMemAccess(env, { regno: dst_reg, off, size, write: true, value: src_reg, strict: true });
    keepPointerType(env, type, false);
    return;
  }
  if (!OPERATIONS.has(imm))
    env.refuse('EINVAL', `BPF_ATOMIC uses invalid atomic opcode ${(imm & 0xff).toString(16).padStart(2, '0')}`);
  readModifyWrite(env, insn, size);
}

/** Kinds of memory on which an atomic cannot be done. */
function refuseUnable(env: Env, regno: number): void {
  const { type } = env.reg(regno);
  const unable =
    T.baseType(type) === T.PTR_TO_CTX || T.isPacketPointer(type) || type === T.PTR_TO_FLOW_KEYS || T.isSockPointer(type);
  if (unable) env.refuse('EACCES', `BPF_ATOMIC stores into R${regno} ${T.typeText(type)} is not allowed`);
}

function readModifyWrite(env: Env, insn: BpfInsn, size: number): void {
  const { imm, dst_reg, src_reg, off } = insn;
  if (size < 4) env.refuse('EINVAL', 'invalid atomic operand size');
  checkSrc(env, src_reg);
  checkSrc(env, dst_reg);
  if (imm === CMPXCHG) {
    checkSrc(env, 0);
    if (!env.allowPtrLeaks && env.reg(0).type !== T.SCALAR_VALUE) env.refuse('EACCES', 'R0 leaks addr into mem');
  }
  if (!env.allowPtrLeaks && env.reg(src_reg).type !== T.SCALAR_VALUE) env.refuse('EACCES', `R${src_reg} leaks addr into mem`);
  refuseUnable(env, dst_reg);
  let loaded = -1;
  if (imm & FETCH) {
    loaded = imm === CMPXCHG ? 0 : src_reg;
    checkDst(env, loaded);
  }
  const { type } = env.reg(dst_reg);
  // Without a register to load into it is still a read; then the write leaves unknown data.
  checkMemAccess(env, { regno: dst_reg, off, size, write: false, value: -1, strict: true });
  const address = env.reg(dst_reg);
  if (loaded >= 0) {
    if (loaded === dst_reg) {
      // The pointer itself is replaced by the old value: check the write first.
      checkMemAccess(env, { regno: dst_reg, off, size, write: true, value: -1, strict: true });
      env.markUnknown(address);
      narrow(env, loaded, size);
      keepPointerType(env, type, false);
      return;
    }
    checkMemAccess(env, { regno: dst_reg, off, size, write: false, value: loaded, strict: true });
  }
  checkMemAccess(env, { regno: dst_reg, off, size, write: true, value: -1, strict: true });
  keepPointerType(env, type, false);
}

function narrow(env: Env, regno: number, size: number): void {
  if (size === 8) return;
  const reg = env.reg(regno);
  reg.vh = reg.mh = 0;
  reg.uminh = reg.umaxh = reg.sminh = reg.smaxh = 0;
  reg.uminl = reg.sminl = 0;
  reg.umaxl = reg.smaxl = -1;
}
