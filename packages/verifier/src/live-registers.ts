/** Which registers may still be read before each instruction (`compute_live_registers`): data flow backwards over each subprogram. */

import { postorder, successors } from './cfg.ts';
import type { Env } from './env.ts';
import { CALLBACK_SCC } from './scc.ts';
import { kfuncRow } from './kfunc-meta.ts';
import { isHelperCall, isKfuncCall } from './subprograms.ts';

const CALLER_SAVED = 0x3f;
const ARGUMENTS = 0x3e;

/** def in the high half, use in the low. */
const pack = (def: number, use: number): number => (def << 16) | use;

function defUse(env: Env, i: number): number {
  const insn = env.insns[i]!;
  const { code } = insn;
  const dst = 1 << insn.dst_reg;
  const src = 1 << insn.src_reg;
  const register = (code & 8) !== 0;
  switch (code & 7) {
    case 0:
      return code === 0x18 ? pack(dst, 0) : pack(0, 0xffff);
    case 1:
      return pack(dst, src);
    case 2:
      return pack(0, dst);
    case 3:
      return (code & 0xe0) === 0xc0 ? atomic(insn.imm, dst, src) : pack(0, dst | src);
    case 4:
    case 7:
      switch (code & 0xf0) {
        case 0xd0:
          return pack(dst, dst);
        case 0xb0:
          return pack(dst, register ? src : 0);
        default:
          return pack(dst, register ? dst | src : dst);
      }
    default:
      return jump(env, i, dst, src, register);
  }
}

function atomic(imm: number, dst: number, src: number): number {
  switch (imm) {
    case 0xf1:
      return pack(1, 1 | dst | src);
    case 0x100:
      return pack(dst, src);
    case 0x110:
      return pack(0, dst | src);
    default:
      return pack(imm & 1 ? src : 0, dst | src);
  }
}

function jump(env: Env, i: number, dst: number, src: number, register: boolean): number {
  const { code } = env.insns[i]!;
  switch (code & 0xf0) {
    case 0x00:
    case 0xe0:
      return 0;
    case 0x90:
      return pack(0, 1);
    case 0x80:
      return pack(CALLER_SAVED, callUse(env, i));
    default:
      return pack(0, register ? dst | src : dst);
  }
}

/** Argument registers that a helper or kfunc reads; all five of a call of the program's own. */
function callUse(env: Env, i: number): number {
  const { code, src_reg, imm, off } = env.insns[i]!;
  let count = 5;
  if (isHelperCall(code, src_reg)) {
    const proto = env.ops.funcProto(imm, env.facts);
    if (proto) {
      const none = proto.arg_types.findIndex((type) => type === 'ARG_DONTCARE');
      count = none < 0 ? proto.arg_types.length : none;
    }
  } else if (isKfuncCall(code, src_reg)) {
    const row = kfuncRow(env, imm, off);
    const func = row && env.kernelBtf?.type(imm);
    const proto = func && env.kernelBtf?.type(func.type);
    if (proto) count = proto.params.length;
  }
  return ARGUMENTS & ((1 << (count + 1)) - 1);
}

/** Fills `env.liveRegs`, and logs it at level 2. */
export function computeLiveRegisters(env: Env): void {
  const { liveRegs } = env;
  const out = [0, 0];
  for (const subprog of env.subprogs) {
    const order = postorder(env, subprog.start);
    const facts = order.map((i) => defUse(env, i));
    for (let changed = true; changed;) {
      changed = false;
      for (let k = 0; k < order.length; k++) {
        const i = order[k]!;
        let live = 0;
        const count = successors(env, i, out);
        for (let s = 0; s < count; s++) live |= liveRegs[out[s]!]!;
        const fact = facts[k]!;
        live = ((live & ~(fact >>> 16)) | fact) & 0xffff;
        if (live !== liveRegs[i]) {
          liveRegs[i] = live;
          changed = true;
        }
      }
    }
  }
  if (env.log.verbose) logLiveRegisters(env);
}

function logLiveRegisters(env: Env): void {
  let text = 'Live regs before insn:\n';
  for (let i = 0; i < env.insns.length; i++) {
    const scc = env.scc[i]!;
    text += `${scc && scc < CALLBACK_SCC ? `${String(scc).padStart(3)} ` : '    '}${String(i).padStart(3)}: `;
    for (let r = 0; r < 10; r++) text += env.liveRegs[i]! & (1 << r) ? r : '.';
    text += ` ${env.text(i)}\n`;
    if (env.insns[i]!.code === 0x18) i++;
  }
  env.log.write(text);
}
