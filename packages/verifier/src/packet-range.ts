/** Comparing a packet pointer to data_end (or metadata to data) proves how far it may be read (`try_match_pkt_pointers`). */

import { JGE, JGT, JLE, JLT } from './branch-taken.ts';
import { AT_PKT_END, BEYOND_PKT_END, type Reg, umax } from './register.ts';
import * as T from './regtype.ts';
import { changeRegs, type VerifierState } from './state.ts';

const MAX_PACKET_OFF = 0xffff;

/** True where the comparison is one of packet pointers. `jump` is the state of the path that jumps, `stay` of the other. */
export function matchPacketPointers(
  op: number,
  dstno: number,
  srcno: number,
  jump: VerifierState,
  stay: VerifierState,
): boolean {
  const dst = stay.frame.regs[dstno]!;
  const src = stay.frame.regs[srcno]!;
  const forwards = isEndOf(dst, src);
  if (!forwards && !isEndOf(src, dst)) return false;
  const packet = forwards ? dst : src;
  const packetno = forwards ? dstno : srcno;
  const { type } = packet;
  switch (op) {
    case JGT:
      if (forwards) found(stay, packet, type, false, jump, packetno, true);
      else found(jump, packet, type, true, stay, packetno, false);
      return true;
    case JLT:
      if (forwards) found(jump, packet, type, true, stay, packetno, false);
      else found(stay, packet, type, false, jump, packetno, true);
      return true;
    case JGE:
      if (forwards) found(stay, packet, type, true, jump, packetno, false);
      else found(jump, packet, type, false, stay, packetno, true);
      return true;
    case JLE:
      if (forwards) found(jump, packet, type, false, stay, packetno, true);
      else found(stay, packet, type, true, jump, packetno, false);
      return true;
    default:
      return false;
  }
}

/** `packet` against data_end, or metadata against an untouched data pointer. */
function isEndOf(packet: Reg, end: Reg): boolean {
  if (packet.type === T.PTR_TO_PACKET) return end.type === T.PTR_TO_PACKET_END;
  return packet.type === T.PTR_TO_PACKET_META && end.type === T.PTR_TO_PACKET && isUntouched(end);
}

const isUntouched = (reg: Reg): boolean => reg.id === 0 && reg.off === 0 && (reg.vh | reg.vl | reg.mh | reg.ml) === 0;

/** On `good` the packet reaches the pointer; on `bad` it ends at or before it. */
function found(
  good: VerifierState,
  packet: Reg,
  type: number,
  open: boolean,
  bad: VerifierState,
  packetno: number,
  beyond: boolean,
): void {
  extendRange(good, packet, type, open);
  const reg = bad.frame.regs[packetno]!;
  if (reg.type === T.PTR_TO_PACKET) reg.range = beyond ? BEYOND_PKT_END : AT_PKT_END;
}

function extendRange(state: VerifierState, packet: Reg, type: number, open: boolean): void {
  const { off, id } = packet;
  if (off < 0 || (off === 0 && open)) return;
  if (umax(packet) > MAX_PACKET_OFF || umax(packet) + off > MAX_PACKET_OFF) return;
  const range = open ? off + 1 : off;
  const matches = (reg: Reg): boolean => reg.type === type && reg.id === id && reg.range < range;
  changeRegs(state, matches, (reg) => {
    reg.range = range;
  });
}
