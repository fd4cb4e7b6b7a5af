/** Calls, exits, tail calls, lookups, packet loads. */

import { BPF_MAX_LOOPS, MAX_BPF_STACK, MAX_CALL_FRAMES, MAX_TAIL_CALL_CNT } from '../cells.ts';
import { MAP_HEADER } from '../map-header.ts';
import { OP } from '../wasm/op.ts';
import type { Handler } from './handler.ts';
import { LOCAL, STATUS } from './handler.ts';
import { FRAME, RECORD } from './record.ts';

/** A helper by its site, in JavaScript. */
export function helper(handler: Handler): void {
  handler.callOut(() => handler.imm(false).code.call(handler.module.helper));
  handler.clobber().advance();
}

/** callx: the number is in a register. */
export function callRegister(handler: Handler): void {
  // Where no helper has that number, it is this instruction that traps.
  handler.callOut(() => handler.mark().dstField(false).code.call(handler.module.dynamic));
  handler.clobber().advance();
}

/** bpf2bpf: the caller's registers and the way back go to its frame. */
export function callSubprogram(handler: Handler): void {
  const { code } = handler;
  code
    .get(LOCAL.base)
    .get(LOCAL.fp)
    .op(OP.i32_sub)
    .i32((MAX_CALL_FRAMES - 1) * MAX_BPF_STACK)
    .op(OP.i32_ge_s);
  handler.if().trap('call-depth');
  handler.end().frame().saveRegisters();
  code.get(LOCAL.at).get(LOCAL.pc).i32(RECORD.size).op(OP.i32_add).access(OP.i32_store, FRAME.returnTo);
  setFramePointer(handler, -MAX_BPF_STACK);
  code.get(LOCAL.at).i32(-FRAME.size).op(OP.i32_add).i32(BPF_MAX_LOOPS).access(OP.i32_store, FRAME.mayGoto);
  handler.jump();
}

export function exit(handler: Handler): void {
  const { code } = handler;
  code.get(LOCAL.fp).get(LOCAL.base).op(OP.i32_eq);
  handler.if().leave(STATUS.exit);
  handler.end();
  returnToCaller(handler);
}

function returnToCaller(handler: Handler): void {
  setFramePointer(handler, MAX_BPF_STACK);
  handler.frame().restoreRegisters().clobber();
  handler.code.get(LOCAL.at).access(OP.i32_load, FRAME.returnTo).set(LOCAL.pc);
  handler.dispatch();
}

function setFramePointer(handler: Handler, difference: number): void {
  const { code } = handler;
  handler.setRegister(10, () => code.get(LOCAL.fp).i32(difference).op(OP.i32_add).tee(LOCAL.fp).op(OP.i64_extend_i32_u));
}

/** Into the slot that the prog_array in r2 has at index r3; on with r0 = 0 where it has none. */
export function tailCall(handler: Handler): void {
  const { code } = handler;
  const [map, index, slot] = [LOCAL.x, LOCAL.y, LOCAL.d];
  const count = handler.cell('tailCalls');
  handler.mark();
  handler.register(2, false).code.set(map);
  handler.register(3, false).code.tee(index).get(map).access(OP.i32_load, MAP_HEADER.max_entries).op(OP.i32_lt_u);
  handler.if().code.i32(count).access(OP.i32_load).i32(MAX_TAIL_CALL_CNT).op(OP.i32_lt_u);
  handler.if().code.get(map).access(OP.i32_load, MAP_HEADER.data).get(index).i32(2).op(OP.i32_shl, OP.i32_add);
  code.access(OP.i32_load).tee(slot);
  handler.if().code.i32(count).i32(count).access(OP.i32_load).i32(1).op(OP.i32_add).access(OP.i32_store);
  code.get(slot).i32(1).op(OP.i32_add).set(slot);
  code.get(LOCAL.fp).get(LOCAL.base).op(OP.i32_eq);
  handler.if().code.i32(handler.cell('tierNext')).get(slot).access(OP.i32_store);
  code.i32(handler.cell('tierWith'));
  handler.register(1, false).code.access(OP.i32_store);
  handler.leave(STATUS.tail);
  // A function that is called comes back to its caller: the target takes its frame, and its result.
  handler.end().callOut(() => {
    handler.register(1, false).code.get(slot).call(handler.module.program).set(LOCAL.a);
  }, 0);
  handler.setRegister(0, () => code.get(LOCAL.a));
  returnToCaller(handler);
  handler.end().end().end();
  handler
    .setRegister(0, () => code.i64(0n))
    .clobber()
    .advance();
}

/** In a map of whatever kind: the function that its header names. Where there is none, the helper at the call's site. */
export function lookup(handler: Handler): void {
  const { code } = handler;
  handler.mark();
  handler.register(1, false).code.tee(LOCAL.x).access(OP.i32_load, MAP_HEADER.lookup_slot).tee(LOCAL.y).op(OP.i32_eqz);
  handler.if();
  helper(handler);
  handler.end();
  handler.setRegister(0, () => {
    code.get(LOCAL.x);
    handler.register(2, false).code.get(LOCAL.y).call(handler.module.lookup).op(OP.i64_extend_i32_u);
  });
  handler.clobber().advance();
}

/** In an array: data + index * stride where the index is in bounds. */
export function lookupArray(handler: Handler): void {
  const { code } = handler;
  handler.mark();
  handler.register(1, false).code.set(LOCAL.x);
  handler.register(2, false).code.access(OP.i32_load).set(LOCAL.y);
  handler.setRegister(0, () => {
    code.get(LOCAL.x).access(OP.i32_load, MAP_HEADER.data).get(LOCAL.y);
    code.get(LOCAL.x).access(OP.i32_load, MAP_HEADER.stride).op(OP.i32_mul, OP.i32_add).i32(0);
    code.get(LOCAL.y).get(LOCAL.x).access(OP.i32_load, MAP_HEADER.max_entries).op(OP.i32_lt_u, OP.select);
    code.op(OP.i64_extend_i32_u);
  });
  handler.clobber().advance();
}

export function currentCpu(handler: Handler): void {
  handler.setRegister(0, () => handler.code.i32(handler.cell('cpu')).access(OP.i64_load32_u));
  handler.clobber().advance();
}

/** bpf_loop: a function of the module goes round and calls the callback's slot. */
export function loop(handler: Handler): void {
  const { code } = handler;
  handler.callOut(() => {
    for (let register = 1; register <= 3; register++) handler.register(register, false);
    handler.register(4, true).code.call(handler.module.loop).set(LOCAL.x);
  });
  handler.setRegister(0, () => code.get(LOCAL.x).op(OP.i64_extend_i32_s));
  handler.clobber().advance();
}

/** Once its frame has used up its rounds, it goes. */
export function mayGoto(handler: Handler): void {
  const { code } = handler;
  handler.frame().code.get(LOCAL.at).get(LOCAL.at).access(OP.i32_load, FRAME.mayGoto).tee(LOCAL.x).i32(1).op(OP.i32_sub);
  code.access(OP.i32_store, FRAME.mayGoto).get(LOCAL.x).op(OP.i32_eqz);
  handler.if().jump();
  handler.end().advance();
}

/** r0 = bytes of the packet in host order; without them the function ends with 0. */
export function packetLoad(handler: Handler, mode: 'abs' | 'ind', size: 1 | 2 | 4): void {
  const { code } = handler;
  handler.callOut(() => {
    handler.register(6, false).imm(false);
    if (mode === 'ind') handler.srcField(false).code.op(OP.i32_add);
    code.i32(size).call(handler.module.packet).set(LOCAL.x);
  });
  code.i32(handler.cell('returnHigh')).access(OP.i32_load);
  handler.if().setRegister(0, () => code.i64(0n));
  exit(handler);
  handler.end().setRegister(0, () => code.get(LOCAL.x).op(OP.i64_extend_i32_u));
  handler.clobber().advance();
}

/** No instruction, or one that was proved dead. */
export function unreachable(handler: Handler): void {
  handler.trap('unreachable');
}
