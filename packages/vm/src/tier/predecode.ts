/** Instructions as records in the arena. */

import { opcodeOf } from '@libbpf-ts/isa';
import type { BpfInsn, Opcode } from '@libbpf-ts/isa';

import { MAX_BPF_STACK } from '../cells.ts';
import type { LoadOptions, ProgramSlots } from '../engine.ts';
import { VmError } from '../errors.ts';
import { MAP_HEADER } from '../map-header.ts';
import type { CallTarget, VmIntrinsic, VmProgram } from '../program.ts';
import type { VmRuntime } from '../runtime.ts';
import { writtenRegister } from '../written-register.ts';
import type { Access } from './memory.ts';
import { operationOf, ownOperation } from './operation.ts';
import type { OwnOperation } from './operation.ts';
import { HEADER, RECORD } from './record.ts';

/**
 * Writes the records of a program into the runtime's arena; returns the address of their block. Throws VmError `invalid` where an
 * instruction is none, goes outside of the program, writes r10 or calls what was not given.
 */
export function predecode(program: VmProgram, options: LoadOptions, runtime: VmRuntime, slots: ProgramSlots): number {
  // One record more: what runs over the end is a trap.
  const block = runtime.arena.allocate(HEADER.size + (program.insns.length + 1) * RECORD.size);
  try {
    new Writer(program, options, runtime, slots, block + HEADER.size).write();
  } catch (error) {
    runtime.arena.free(block);
    throw error;
  }
  return block;
}

class Writer {
  readonly #program: VmProgram;
  readonly #options: LoadOptions;
  readonly #runtime: VmRuntime;
  readonly #slots: ProgramSlots;
  readonly #records: number;

  constructor(program: VmProgram, options: LoadOptions, runtime: VmRuntime, slots: ProgramSlots, records: number) {
    this.#program = program;
    this.#options = options;
    this.#runtime = runtime;
    this.#slots = slots;
    this.#records = records;
  }

  write(): void {
    const { insns, fixups } = this.#program;
    const words = this.#runtime.arena.i32;
    for (let index = 0; index < insns.length; index++) {
      const at = (this.#records + index * RECORD.size) >> 2;
      const insn = insns[index]!;
      const opcode = opcodeOf(insn);
      if (!opcode) throw this.#invalid(`no instruction: code 0x${insn.code.toString(16)}`, index);
      if (insn.dst_reg > 10 || insn.src_reg > 10)
        throw this.#invalid(`register ${Math.max(insn.dst_reg, insn.src_reg)} does not exist`, index);
      if (writtenRegister(opcode, insn) === 10) throw this.#invalid(`register 10 can't be written`, index);
      words[at] = this.#operation(opcode, insn, index) | (insn.dst_reg << 19) | (insn.src_reg << 27);
      words[at + 1] = insn.off;
      words[at + 2] = insn.imm;
      words[at + 3] = insn.imm >> 31;
      // Not executed: it leaves its record a trap.
      if (fixups.dead?.[index]) words[at] = ownOperation('trap');
      if (opcode.kind === 'ld_imm64') {
        [words[at + 2], words[at + 3]] = this.#constant(index, insn);
        index++;
      } else if (opcode.kind === 'jump' || opcode.kind === 'may_goto') words[at + 1] = this.#target(index, insn.off);
      else if (opcode.kind === 'goto') words[at + 1] = this.#target(index, opcode.far ? insn.imm : insn.off);
      else if (opcode.kind === 'call' && opcode.target === 'subprogram') words[at + 1] = this.#target(index, insn.imm);
      else if (opcode.kind === 'call') words[at + 2] = index;
    }
  }

  #operation(opcode: Opcode, insn: BpfInsn, index: number): number {
    const { fixups } = this.#program;
    if (opcode.kind === 'call' && opcode.target !== 'subprogram' && opcode.target !== 'register') {
      const call = fixups.calls.get(index);
      if (call) return this.#call(opcode, call);
      if (fixups.dead?.[index]) return ownOperation('trap');
      throw this.#invalid(`call of ${opcode.target} ${insn.imm}, which was not given`, index);
    }
    if (opcode.kind === 'ld_packet' && !fixups.packetLoad && !fixups.dead?.[index])
      throw this.#invalid('a packet load in a program without a packet', index);
    return operationOf(opcode, this.#access(opcode, insn, index));
  }

  #access(opcode: Opcode, insn: BpfInsn, index: number): Access {
    if (opcode.kind !== 'load' && opcode.kind !== 'store' && opcode.kind !== 'atomic') return 'plain';
    const loads = opcode.kind === 'load' || (opcode.kind === 'atomic' && opcode.op === 'load_acquire');
    const base = loads ? insn.src_reg : insn.dst_reg;
    if (this.#options.region)
      return base === 10 && insn.off >= -MAX_BPF_STACK && insn.off + opcode.size <= 0 ? 'frame' : 'plain';
    return opcode.kind === 'load' && this.#program.fixups.probeLoads?.has(index) ? 'probe' : 'plain';
  }

  #call(opcode: Opcode, { helper, map }: CallTarget): number {
    // An intrinsic without a line here does not compile; what has no operation of its own is the helper's code.
    const own: Readonly<Record<VmIntrinsic, OwnOperation | undefined>> = {
      tail_call: 'tail_call',
      loop: 'loop',
      smp_processor_id: 'smp_processor_id',
      map_lookup: map && this.#isArray(map.address) ? 'lookup_array' : 'lookup',
      map_update: undefined,
    };
    const operation = helper.intrinsic && own[helper.intrinsic];
    return operation === undefined ? operationOf(opcode) : ownOperation(operation);
  }

  #isArray(map: number): boolean {
    const slot = this.#runtime.arena.u32[(map + MAP_HEADER.lookup_slot) >> 2]!;
    return this.#runtime.lookupKinds.get(slot) === 'array';
  }

  /** Address of the record that an offset from the next instruction leads to. */
  #target(index: number, offset: number): number {
    const to = index + 1 + offset;
    if (to < 0 || to >= this.#program.insns.length) throw this.#invalid(`jump out of range to ${to}`, index);
    return this.#records + to * RECORD.size;
  }

  /** What an ld_imm64 loads: what the side tables say, or its immediates. */
  #constant(index: number, insn: BpfInsn): [low: number, high: number] {
    const { insns, fixups } = this.#program;
    if (index + 1 >= insns.length) throw this.#invalid('ld_imm64 without its second half', index);
    const known = fixups.constants.get(index);
    if (known !== undefined) return [Number(BigInt.asIntN(32, known)), Number(BigInt.asIntN(32, known >> 32n))];
    const subprogram = fixups.functions.get(index);
    if (subprogram !== undefined) return [this.#slots.callbacks[subprogram] ?? 0, 0];
    return [insn.imm, insns[index + 1]!.imm];
  }

  #invalid(detail: string, index: number): VmError {
    return new VmError('invalid', this.#program.name, detail, index);
  }
}
