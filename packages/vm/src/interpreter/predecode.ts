/** Instructions as the loop reads them: four words each, operands where it wants them. */

import { opcodeOf } from '@libbpf-ts/isa';
import type { BpfInsn, Opcode } from '@libbpf-ts/isa';

import type { ProgramSlots } from '../engine.ts';
import { VmError } from '../errors.ts';
import type { VmProgram } from '../program.ts';
import { writtenRegister } from '../written-register.ts';
import { operationName, operations } from './operation.ts';

/** Words an instruction. */
export const STRIDE = 4;
/** The operation byte of what is no instruction: nothing in the loop has it. */
export const NO_OPERATION = 0xff;

const NUMBERS: ReadonlyMap<string, number> = new Map(operations().map(({ name, number }) => [name, number]));

/** Throws VmError `invalid` where an instruction is none, or goes outside of the program. */
export function predecode(program: VmProgram, slots: ProgramSlots): Int32Array {
  const { insns, fixups } = program;
  const code = new Int32Array(insns.length * STRIDE);
  for (let index = 0; index < insns.length; index++) {
    const insn = insns[index]!;
    const opcode = opcodeOf(insn);
    const invalid = (detail: string): VmError => new VmError('invalid', program.name, detail, index);
    if (!opcode) throw invalid(`no instruction: code 0x${insn.code.toString(16)}`);
    if (insn.dst_reg > 10 || insn.src_reg > 10)
      throw invalid(`register ${Math.max(insn.dst_reg, insn.src_reg)} does not exist`);
    // r10 bounds what is not checked any further: nothing may change it.
    if (writtenRegister(opcode, insn) === 10) throw invalid(`register 10 can't be written`);
    const at = index * STRIDE;
    code[at] = NUMBERS.get(operationName(opcode))! | (insn.dst_reg << 9) | (insn.src_reg << 17);
    code[at + 1] = insn.imm;
    code[at + 2] = insn.off;
    if (opcode.kind === 'ld_imm64') {
      const [low, high] = constant(program, slots, index, insn);
      code[at + 1] = low;
      code[at + 2] = high;
      code[++index * STRIDE] = NO_OPERATION;
    } else if (opcode.kind === 'call') {
      code[at + 1] = index;
      if (opcode.target === 'subprogram') code[at + 2] = target(index + 1 + insn.imm);
      else if (opcode.target !== 'register' && !fixups.calls.has(index) && !fixups.dead?.[index])
        throw invalid(`call of ${opcode.target} ${insn.imm}, which was not given`);
    } else if (isJump(opcode)) code[at + 2] = target(index + 1 + (opcode.kind === 'goto' && opcode.far ? insn.imm : insn.off));
    else if (opcode.kind === 'ld_packet' && !fixups.packetLoad && !fixups.dead?.[index])
      throw invalid('a packet load in a program without a packet');

    function target(to: number): number {
      if (to < 0 || to >= insns.length) throw invalid(`jump out of range to ${to}`);
      return to * STRIDE;
    }
  }
  return code;
}

function isJump(opcode: Opcode): boolean {
  return opcode.kind === 'jump' || opcode.kind === 'goto' || opcode.kind === 'may_goto';
}

/** What an ld_imm64 loads: what the side tables say, or its immediates. */
function constant(
  { insns, fixups, name }: VmProgram,
  slots: ProgramSlots,
  index: number,
  insn: BpfInsn,
): [low: number, high: number] {
  if (index + 1 >= insns.length) throw new VmError('invalid', name, 'ld_imm64 without its second half', index);
  const known = fixups.constants.get(index);
  if (known !== undefined) return [Number(BigInt.asIntN(32, known)), Number(BigInt.asIntN(32, known >> 32n))];
  const subprogram = fixups.functions.get(index);
  if (subprogram !== undefined) return [slots.callbacks[subprogram] ?? 0, 0];
  return [insn.imm, insns[index + 1]!.imm];
}
