/** Translates the instructions of one block into effects and nodes. */

import { opcodeOf } from '@libbpf-ts/isa';
import type { BpfInsn, Opcode, OpcodeKind, SizeBytes } from '@libbpf-ts/isa';

import { VmError } from '../errors.ts';
import { OP } from '../wasm/op.ts';
import { alu, end } from './alu.ts';
import { emitAtomic } from './atomic.ts';
import { emitCall, emitPacketLoad } from './call.ts';
import { compare } from './compare.ts';
import type { BlockCode, Fact, FrameUse, FunctionContext, State } from './context.ts';
import type { Effect } from './effect.ts';
import type { Block } from './graph.ts';
import {
  arith,
  const32,
  const64,
  constInt,
  frameAddress,
  NODE,
  Node,
  signExtendFrom,
  splitSum,
  truncate,
  wrap,
  zeroExtend,
} from './node.ts';

/** Where an access goes: `base` (i32) plus an unsigned offset. */
export interface Place {
  readonly base: Node;
  readonly offset: number;
}

/** Expressions deeper than this are computed on the way. */
const MAX_DEPTH = 60;

export class BlockBuilder {
  readonly context: FunctionContext;
  readonly block: Block;
  readonly effects: Effect[] = [];
  readonly frameUse: FrameUse = { accesses: [], escapes: [], escapesAll: false };
  readonly #facts: readonly (Fact | undefined)[];
  readonly #values: (Node | undefined)[];
  readonly #entry: (Node | undefined)[];
  readonly #stored: Map<number, { readonly size: number; readonly value: Node }>;
  /** The instruction in hand. */
  index = 0;

  /** `facts` are about the variables' locals; `before` is the state that the block's only predecessor leaves, if it has only one. */
  constructor(context: FunctionContext, block: Block, facts: readonly (Fact | undefined)[], before?: State) {
    this.context = context;
    this.block = block;
    this.#facts = facts;
    this.#values = before ? before.values.slice() : [];
    this.#entry = before ? before.entry : [];
    this.#stored = new Map(before?.stored);
  }

  build(): BlockCode {
    const { block, context } = this;
    const { insns } = context.module.program;
    if (context.module.fuel) this.#countFuel();
    for (this.index = block.start; this.index < block.end; this.index++) {
      const insn = insns[this.index]!;
      const opcode = opcodeOf(insn);
      if (!opcode)
        throw new VmError(
          'invalid',
          context.module.program.name,
          `no instruction: code 0x${insn.code.toString(16)}`,
          this.index,
        );
      (handlers[opcode.kind] as Handler<Opcode>)(this, insn, opcode);
    }
    if (block.select) this.#values[block.select.selector] = constInt(block.select.value);
    const condition = this.#condition();
    return {
      effects: this.effects,
      values: this.#values,
      entry: this.#entry,
      stored: this.#stored,
      condition,
      frameUse: this.frameUse,
    };
  }

  /** Takes the block's instructions from the budget: its body and its jump or exit. A block that is only a goto may be a loop by itself. */
  #countFuel(): void {
    const { start, end, term } = this.block;
    const isGoto =
      term.kind === 'goto' && start === end && opcodeOf(this.context.module.program.insns[start]!)?.kind === 'goto';
    const jumps = term.kind === 'branch' || term.kind === 'may_goto' || term.kind === 'return' || isGoto ? 1 : 0;
    if (end - start + jumps > 0) this.effects.push({ kind: 'fuel', count: end - start + jumps });
  }

  /** A register's value now. */
  reg(register: number): Node {
    if (register === 10) return frameAddress(this.block.frame.fpOffset);
    const variable = this.block.frame.vars[register];
    if (variable === undefined)
      throw new VmError('invalid', this.context.module.program.name, `register ${register} does not exist`, this.index);
    return this.variable(variable);
  }

  setReg(register: number, value: Node): void {
    const variable = this.block.frame.vars[register];
    if (variable === undefined)
      throw new VmError('invalid', this.context.module.program.name, `register ${register} can't be written`, this.index);
    this.setVariable(variable, value);
  }

  variable(variable: number): Node {
    return this.#values[variable] ?? this.#entryValue(variable);
  }

  setVariable(variable: number, value: Node): void {
    if (value.depth > MAX_DEPTH && value.op !== NODE.result) this.effects.push({ kind: 'pin', node: value });
    this.#values[variable] = value.depth > MAX_DEPTH ? pinned(value) : value;
  }

  /** A load of `size` bytes as i64, through the frame's variables where it is one. */
  load(address: Node, offset: number, size: SizeBytes, signed = false): Node {
    if (address.op === NODE.frameAddress) {
      const at = address.k + offset;
      this.frameUse.accesses.push({ offset: at, size, write: false });
      const value = this.#slotValue(at, size) ?? this.#storedValue(at, size);
      if (value) return signed ? signExtendFrom((size * 8) as 8 | 16 | 32, value) : value;
    }
    const { base, offset: at } = this.place(address, offset, size);
    return this.#loadNode(base, at, size, signed);
  }

  /** The u32 at an address that the translation itself chose, as i64; never checked. */
  word(base: Node, offset = 0): Node {
    const node = new Node(OP.i64_load32_u, true, 32, base, undefined, undefined, offset);
    node.insn = this.index;
    this.effects.push({ kind: 'load', node });
    return node;
  }

  #loadNode(base: Node, offset: number, size: SizeBytes, signed: boolean): Node {
    const node = new Node(LOADS[size][signed ? 1 : 0], true, signed ? 64 : size * 8, base, undefined, undefined, offset);
    node.insn = this.index;
    node.checked = this.context.module.region !== undefined;
    this.effects.push({ kind: 'load', node });
    return node;
  }

  store(address: Node, offset: number, size: SizeBytes, value: Node): void {
    if (value.op === NODE.frameAddress) this.frameUse.escapesAll = true;
    if (address.op === NODE.frameAddress) {
      const at = address.k + offset;
      this.frameUse.accesses.push({ offset: at, size, write: true });
      const slot = this.context.slots.get(at);
      if (slot) return this.setVariable(slot.variable, truncate(value, size * 8));
      this.#forget(at, size);
      this.#stored.set(at, { size, value: truncate(value, size * 8) });
    } else if (this.context.stackEscapes) this.#stored.clear();
    const { base, offset: at } = this.place(address, offset, size);
    const narrow = size < 8 ? wrap(value) : value;
    this.effects.push({ kind: 'store', op: STORES[size], base, offset: at, value: narrow, insn: this.index });
  }

  /** Memory of the stack may have changed. */
  clobberStack(): void {
    if (this.context.stackEscapes) this.#stored.clear();
  }

  /** The address of an access as WebAssembly wants it, checked where the program is not verified. */
  place(address: Node, offset: number, size: number): Place {
    const { context } = this;
    if (address.op === NODE.frameAddress) {
      const at = context.graph.frameSize + address.k + offset;
      if (at >= 0 && at + size <= context.graph.frameSize) return { base: new Node(NODE.frame, false, 32), offset: at };
    }
    if (context.module.region) return this.#checkedPlace(address, offset, size);
    if (context.module.program.fixups.probeLoads?.has(this.index)) return this.#probedPlace(address, offset, size);
    const { rest, constant } = splitSum(address);
    // Constants this small are no address: the rest is one, and stays positive.
    const whole = constant + offset;
    const [base, total] = whole >= 0 && whole < 65_536 ? [rest, whole] : [address, offset];
    if (total >= 0 && total < 65_536) return { base: wrap(base), offset: total };
    return { base: arith('add', false, wrap(address), const32(offset)), offset: 0 };
  }

  #checkedPlace(address: Node, offset: number, size: number): Place {
    const full = arith('add', true, address, const64(BigInt(offset)));
    this.effects.push({ kind: 'check', address: full, size, insn: this.index });
    return { base: wrap(full), offset: 0 };
  }

  /** Where the load might fault it reads address 0 instead, which is zero. */
  #probedPlace(address: Node, offset: number, size: number): Place {
    const full = arith('add', true, address, const64(BigInt(offset)));
    const limit = arith(
      'sub',
      true,
      zeroExtend(new Node(OP.i32_shl, false, 32, new Node(0x3f, false, 32), const32(16))),
      const64(BigInt(size)),
    );
    const fits = new Node(OP.i64_le_u, false, 1, full, limit);
    return { base: new Node(NODE.select, false, 32, fits, wrap(full), const32(0)), offset: 0 };
  }

  #slotValue(offset: number, size: number): Node | undefined {
    const slot = this.context.slots.get(offset);
    return slot && slot.size === size ? this.variable(slot.variable) : undefined;
  }

  #storedValue(offset: number, size: number): Node | undefined {
    const stored = this.#stored.get(offset);
    return stored && stored.size === size ? stored.value : undefined;
  }

  #forget(offset: number, size: number): void {
    for (let at = offset - 7; at < offset + size; at++) {
      const stored = this.#stored.get(at);
      if (stored && at + stored.size > offset) this.#stored.delete(at);
    }
  }

  #entryValue(variable: number): Node {
    const { registerVars, slotFacts } = this.context;
    return (this.#entry[variable] ??= nodeOfFact(
      variable,
      variable < registerVars ? this.#facts[variable] : slotFacts[variable],
    ));
  }

  #condition(): Node | undefined {
    const { term } = this.block;
    if (term.kind === 'may_goto') {
      const counter = this.variable(this.context.mayGoto);
      this.setVariable(this.context.mayGoto, arith('sub', true, counter, const64(1n)));
      return compare('jeq', counter, const64(0n));
    }
    if (term.kind === 'dispatch') return wrap(this.variable(term.selector));
    if (term.kind !== 'branch') return undefined;
    const insn = this.context.module.program.insns[term.insn]!;
    const opcode = opcodeOf(insn) as Extract<Opcode, { kind: 'jump' }>;
    this.index = term.insn;
    const left = this.reg(insn.dst_reg);
    const right = opcode.source === 'x' ? this.reg(insn.src_reg) : constInt(insn.imm);
    return opcode.bits === 64 ? compare(opcode.op, left, right) : compare(opcode.op, wrap(left), wrap(right));
  }
}

/** A stand-in for a deep node that has a local of its own by the time it is used. */
function pinned(node: Node): Node {
  return new Node(NODE.result, node.wide, node.bits, undefined, undefined, node, 0, 0n, node.nonzero);
}

export function nodeOfFact(variable: number, fact: Fact | undefined): Node {
  if (fact?.kind === 'const') return const64(fact.value);
  if (fact?.kind === 'frame') return frameAddress(fact.offset);
  return new Node(NODE.variable, true, fact?.bits ?? 64, undefined, undefined, undefined, variable, 0n, fact?.nonzero ?? false);
}

const LOADS: Readonly<Record<SizeBytes, readonly [number, number]>> = {
  1: [OP.i64_load8_u, OP.i64_load8_s],
  2: [OP.i64_load16_u, OP.i64_load16_s],
  4: [OP.i64_load32_u, OP.i64_load32_s],
  8: [OP.i64_load, OP.i64_load],
};
const STORES: Readonly<Record<SizeBytes, number>> = { 1: OP.i32_store8, 2: OP.i32_store16, 4: OP.i32_store, 8: OP.i64_store };

type Of<Kind extends OpcodeKind> = Extract<Opcode, { kind: Kind }>;
type Handler<Row> = (builder: BlockBuilder, insn: BpfInsn, opcode: Row) => void;

/** Jumps and exits end blocks and never come here, except for a jump to the next instruction. */
const handlers: { readonly [Kind in OpcodeKind]: Handler<Of<Kind>> } = {
  alu(builder, insn, { op, bits, source }) {
    if (bits === 64) {
      const right = source === 'x' ? builder.reg(insn.src_reg) : constInt(insn.imm);
      return builder.setReg(insn.dst_reg, alu[op](true, op === 'mov' ? right : builder.reg(insn.dst_reg), right));
    }
    const right = source === 'x' ? wrap(builder.reg(insn.src_reg)) : const32(insn.imm);
    builder.setReg(insn.dst_reg, zeroExtend(alu[op](false, op === 'mov' ? right : wrap(builder.reg(insn.dst_reg)), right)));
  },
  end: (builder, insn, { op, width }) => builder.setReg(insn.dst_reg, end[op](builder.reg(insn.dst_reg), width)),
  jump: () => undefined,
  goto: () => undefined,
  may_goto: () => undefined,
  exit: () => undefined,
  call: emitCall,
  load(builder, insn, { size, signed }) {
    builder.setReg(insn.dst_reg, builder.load(builder.reg(insn.src_reg), insn.off, size, signed));
  },
  store(builder, insn, { size, source }) {
    const value = source === 'x' ? builder.reg(insn.src_reg) : constInt(insn.imm);
    builder.store(builder.reg(insn.dst_reg), insn.off, size, value);
  },
  atomic: emitAtomic,
  ld_imm64: loadImmediate,
  ld_packet: emitPacketLoad,
};

function loadImmediate(builder: BlockBuilder, insn: BpfInsn): void {
  const { program, callbackSlot } = builder.context.module;
  const { constants, functions } = program.fixups;
  const subprogram = functions.get(builder.index);
  const second = program.insns[builder.index + 1];
  const plain = (BigInt((second?.imm ?? 0) >>> 0) << 32n) | BigInt(insn.imm >>> 0);
  const value = subprogram === undefined ? (constants.get(builder.index) ?? plain) : BigInt(callbackSlot(subprogram));
  builder.setReg(insn.dst_reg, const64(value));
  builder.index++;
}
