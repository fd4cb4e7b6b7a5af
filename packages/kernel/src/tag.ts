/** The tag of a program: the same for the same instructions, whatever fds its maps have. Mirrors bpf_prog_calc_tag. */

import { BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE } from '@libbpf-ts/uapi';

import { sha256 } from './sha256.ts';

const LD_IMM64 = 0x18;

/** 8 bytes: the start of the SHA-256 (since 6.18; SHA-1 before) of the instructions with map fds and value offsets taken out. */
export function progTag(insns: Uint8Array): Uint8Array {
  const bytes = insns.slice();
  const view = new DataView(bytes.buffer);
  for (let at = 0; at + 16 <= bytes.length; at += 8) {
    const source = bytes[at + 1]! >> 4;
    if (bytes[at] !== LD_IMM64) continue;
    if (source === BPF_PSEUDO_MAP_FD || source === BPF_PSEUDO_MAP_VALUE) {
      view.setUint32(at + 4, 0, true);
      view.setUint32(at + 12, 0, true);
    }
    at += 8;
  }
  return sha256(bytes).subarray(0, 8);
}
