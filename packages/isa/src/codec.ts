/** `struct bpf_insn` as bytes, little-endian. */

import { IsaError } from './error.ts';
import type { BpfInsn } from './insn.ts';

/** Instructions of `bytes`, one entry per 8-byte slot. Throws IsaError `length` where bytes are left over. */
export function decode(bytes: Uint8Array): BpfInsn[] {
  if (bytes.length % 8 !== 0)
    throw new IsaError('length', `${bytes.length} bytes are not a whole number of 8-byte instructions`, bytes.length >> 3);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const insns: BpfInsn[] = new Array(bytes.length / 8);
  for (let index = 0, at = 0; at < bytes.length; index++, at += 8) {
    const regs = bytes[at + 1]!;
    insns[index] = {
      code: bytes[at]!,
      dst_reg: regs & 15,
      src_reg: regs >> 4,
      off: view.getInt16(at + 2, true),
      imm: view.getInt32(at + 4, true),
    };
  }
  return insns;
}

/** The bytes of `insns`. */
export function encode(insns: readonly BpfInsn[]): Uint8Array {
  const bytes = new Uint8Array(insns.length * 8);
  const view = new DataView(bytes.buffer);
  insns.forEach((insn, index) => {
    const at = index * 8;
    bytes[at] = insn.code;
    bytes[at + 1] = (insn.dst_reg & 15) | (insn.src_reg << 4);
    view.setInt16(at + 2, insn.off, true);
    view.setInt32(at + 4, insn.imm, true);
  });
  return bytes;
}

/** The 64-bit value of the ld_imm64 at `first`, whose upper half is the immediate of the slot after it. */
export function imm64(first: BpfInsn, second: BpfInsn): bigint {
  return (BigInt(second.imm >>> 0) << 32n) | BigInt(first.imm >>> 0);
}
