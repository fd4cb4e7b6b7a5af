/** Stands in for the verifier where a test is about something else: believes every program, and resolves only maps and calls. */

import type { BpfFuncProto, VerifiedCall, VerifierMap, VerifierRequest, VerifierResult } from '@libbpf-ts/verifier';

const STATS = { processed: 0, maxStatesPerInsn: 0, totalStates: 0, peakStates: 0, longestMarkRead: 0, liveInsns: 0 };

export function trust(request: VerifierRequest): VerifierResult {
  const { insns } = request;
  const constants = new Map<number, bigint>();
  const calls = new Map<number, VerifiedCall>();
  const usedMaps: VerifierMap[] = [];
  for (const [index, { code, src_reg, imm }] of insns.entries()) {
    if (code === 0x85 && src_reg === 0)
      calls.set(index, { kind: 'helper', id: imm, proto: { name: `bpf_helper_${imm}`, id: imm } as BpfFuncProto });
    if (code !== 0x18 || src_reg === 0 || src_reg === 4) continue;
    const map = src_reg >= 5 ? request.fdArray?.[imm] : request.resolveMap(imm);
    if (!map)
      return {
        ok: false,
        errno: 'EBADF',
        log: `fd ${imm} is not pointing to valid bpf_map\n`,
        log_true_size: 0,
        stats: STATS,
        trace: [],
        diagnostics: [],
      };
    if (!usedMaps.includes(map)) usedMaps.push(map);
    const direct = src_reg === 2 || src_reg === 6;
    constants.set(index, BigInt(direct ? map.valueAddress!(insns[index + 1]!.imm) : map.address));
  }
  return {
    ok: true,
    log: '',
    log_true_size: 0,
    stats: { ...STATS, processed: insns.length },
    trace: [],
    subprograms: [
      { start: 0, end: insns.length, name: 'main', stackDepth: 512, addressTaken: false, isGlobal: true, hasTailCall: false },
    ],
    constants,
    functions: new Map(),
    calls,
    dead: new Uint8Array(insns.length),
    probeLoads: new Set(),
    usedMaps,
    privateStack: false,
    maxCtxOffset: 0,
  };
}
