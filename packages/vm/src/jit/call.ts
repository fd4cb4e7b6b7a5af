/** Calls: helpers, kfuncs, subprograms, map lookups, tail calls, packet loads. */

import type { BpfInsn, Opcode } from '@libbpf-ts/isa';

import { VmError } from '../errors.ts';
import { MAP_HEADER } from '../map-header.ts';
import type { CallTarget, VmHelper } from '../program.ts';
import type { BlockBuilder } from './block.ts';
import { compare } from './compare.ts';
import type { Callee } from './effect.ts';
import { arith, const32, const64, constInt, isConst, NODE, Node, select, signExtend, wrap, zeroExtend } from './node.ts';
import { subprogramAt } from './graph.ts';

const MAX_ARGS = 5;

export function emitCall(builder: BlockBuilder, insn: BpfInsn, { target }: Extract<Opcode, { kind: 'call' }>): void {
  const { module } = builder.context;
  if (target === 'subprogram') return callSubprogram(builder, subprogramAt(module.program, builder.index + 1 + insn.imm));
  if (target === 'register') return callDynamic(builder, insn.dst_reg);
  const call = module.program.fixups.calls.get(builder.index);
  if (!call)
    throw new VmError('invalid', module.program.name, `call of ${target} ${insn.imm}, which was not given`, builder.index);
  switch (call.helper.intrinsic) {
    case 'map_lookup':
      return lookup(builder, call);
    case 'map_update':
      return update(builder, call);
    case 'tail_call':
      return tailCall(builder, call);
    case 'loop':
      return loop(builder);
    case 'smp_processor_id':
      return setResult(builder, builder.word(const32(module.cell('cpu'))));
    default:
      return callHelper(builder, call.helper);
  }
}

/** r0 is the result; r1 to r5 are gone. */
function setResult(builder: BlockBuilder, value: Node): void {
  builder.setReg(0, value);
  clobberArguments(builder);
}

function clobberArguments(builder: BlockBuilder): void {
  for (let register = 1; register <= MAX_ARGS; register++) builder.setReg(register, constInt(0));
}

function callHelper(builder: BlockBuilder, helper: VmHelper): void {
  helper.args.forEach((_, index) => noteEscape(builder, builder.reg(index + 1), undefined, helper.callsBack ?? false));
  setResult(builder, invoke(builder, helper, builder.context.module.helper(helper)));
}

/** The stack from this address on is no longer ours alone. */
function noteEscape(builder: BlockBuilder, value: Node, size: number | undefined, anywhere: boolean): void {
  if (value.op !== NODE.frameAddress) return;
  if (anywhere) builder.frameUse.escapesAll = true;
  builder.frameUse.escapes.push({ start: value.k, end: size === undefined ? 0 : value.k + size });
}

/** Passes registers as the helper's arguments say and gives r0 as its result says. */
function invoke(builder: BlockBuilder, helper: VmHelper, callee: Callee): Node {
  const args: Node[] = [];
  helper.args.forEach((type, index) => {
    const value = builder.reg(index + 1);
    if (type === 'u32') args.push(wrap(value));
    else if (helper.slot !== undefined) args.push(value);
    else args.push(wrap(value), wrap(arith('shr_u', true, value, const64(32n))));
  });
  const node = callee.returns === 'void' ? undefined : result(callee.returns === 'i64');
  builder.effects.push({ kind: 'call', callee, args, result: node, insn: builder.index });
  builder.clobberStack();
  if (!node) return const64(0n);
  if (node.wide) return node;
  if (helper.returns === 's32') return signExtend(node);
  if (helper.returns === 'u32') return zeroExtend(node);
  const high = builder.word(const32(builder.context.module.cell('returnHigh')));
  return arith('or', true, zeroExtend(node), arith('shl', true, high, const64(32n)));
}

function result(wide: boolean): Node {
  return new Node(NODE.result, wide, wide ? 64 : 32);
}

function callSubprogram(builder: BlockBuilder, subprogram: number): void {
  const { module } = builder.context;
  const { index, args } = module.subprogram(subprogram);
  const values = args.map((register) => builder.reg(register));
  for (const value of values) noteEscape(builder, value, undefined, true);
  const node = result(true);
  const frame = new Node(NODE.frame, false, 32);
  builder.effects.push({
    kind: 'call',
    callee: { index, returns: 'i64' },
    args: [frame, ...values],
    result: node,
    insn: builder.index,
  });
  builder.clobberStack();
  setResult(builder, node);
}

/** callx: the helper's number is in a register; which one it is, is found out at run time. */
function callDynamic(builder: BlockBuilder, register: number): void {
  const { module } = builder.context;
  const args = [wrap(builder.reg(register))];
  for (let index = 1; index <= MAX_ARGS; index++) {
    const value = builder.reg(index);
    noteEscape(builder, value, undefined, true);
    args.push(wrap(value), wrap(arith('shr_u', true, value, const64(32n))));
  }
  const node = result(false);
  builder.effects.push({ kind: 'call', callee: module.dynamicHelper(), args, result: node, insn: builder.index });
  builder.clobberStack();
  const high = builder.word(const32(module.cell('returnHigh')));
  setResult(builder, arith('or', true, zeroExtend(node), arith('shl', true, high, const64(32n))));
}

function lookup(builder: BlockBuilder, call: CallTarget): void {
  const { module } = builder.context;
  const key = builder.reg(2);
  const facts = call.map && module.mapFacts(call.map);
  if (
    call.map &&
    facts?.kind &&
    (facts.kind === 'array' || facts.kind === 'percpu_array' || facts.kind === 'array_of_maps') &&
    facts.data !== 0
  ) {
    return setResult(builder, zeroExtend(arrayElement(builder, call, key)));
  }
  noteEscape(builder, key, call.map?.key_size, false);
  const args = [wrap(builder.reg(1)), wrap(key)];
  const node = result(false);
  const callee = call.map && facts?.kind ? module.lookup(facts.kind, call.map.key_size) : module.lookupAny(call.helper);
  builder.effects.push({ kind: 'call', callee, args, result: node, insn: builder.index });
  // Only a lookup that may be JavaScript can do anything to the stack.
  if (!facts?.kind) builder.clobberStack();
  setResult(builder, zeroExtend(node));
}

const BPF_EXIST = 2n;

/** An array always has its elements, so an update is a copy; what is more than that is left to the helper. */
function update(builder: BlockBuilder, call: CallTarget): void {
  const { module } = builder.context;
  const { map } = call;
  const facts = map && module.mapFacts(map);
  const isArray = facts?.kind === 'array' || facts?.kind === 'percpu_array';
  const flags = builder.reg(4);
  const copies = isConst(flags) && (flags.big === 0n || flags.big === BPF_EXIST);
  if (!map || !isArray || facts.data === 0 || map.record?.length || !copies || module.region) {
    return callHelper(builder, call.helper);
  }
  const value = builder.reg(3);
  noteEscape(builder, value, map.value_size, false);
  const node = result(false);
  const args = [wrap(builder.load(builder.reg(2), 0, 4)), wrap(value)];
  builder.effects.push({ kind: 'call', callee: module.arrayUpdate(map), args, result: node, insn: builder.index });
  setResult(builder, signExtend(node));
}

/** data + index * stride where the index is in bounds, else NULL. */
function arrayElement(builder: BlockBuilder, call: CallTarget, key: Node): Node {
  const { module } = builder.context;
  const map = call.map!;
  const { kind, data, stride, cpuStride } = module.mapFacts(map);
  const index = wrap(builder.load(key, 0, 4));
  let address = arith('add', false, arith('mul', false, index, const32(stride)), const32(data));
  if (kind === 'percpu_array') {
    const cpu = wrap(builder.word(const32(module.cell('cpu'))));
    address = arith('add', false, address, arith('mul', false, cpu, const32(cpuStride)));
  }
  // Elements lie above the null page.
  const element = new Node(address.op, false, 32, address.a, address.b, address.c, address.k, address.big, true);
  const inBounds = compare('jlt', index, const32(map.max_entries));
  if (kind !== 'array_of_maps') return select(inBounds, element, const32(0));
  // A slot past the end is read as the first word of the null page.
  return wrap(builder.word(select(inBounds, element, const32(0))));
}

/** bpf_loop(count, callback, ctx, flags): a function of the module goes round and calls the callback's slot. */
function loop(builder: BlockBuilder): void {
  for (let register = 1; register <= 4; register++) noteEscape(builder, builder.reg(register), undefined, true);
  const args = [wrap(builder.reg(1)), wrap(builder.reg(2)), wrap(builder.reg(3)), builder.reg(4)];
  const node = result(false);
  builder.effects.push({ kind: 'call', callee: builder.context.module.loop(), args, result: node, insn: builder.index });
  builder.clobberStack();
  setResult(builder, signExtend(node));
}

function tailCall(builder: BlockBuilder, call: CallTarget): void {
  const { module } = builder.context;
  const map = builder.reg(2);
  const maxEntries = call.map ? const32(call.map.max_entries) : wrap(builder.word(wrap(map), MAP_HEADER.max_entries));
  const facts = call.map && module.mapFacts(call.map);
  const data = facts && facts.data !== 0 ? const32(facts.data) : wrap(builder.word(wrap(map), MAP_HEADER.data));
  builder.effects.push({
    kind: 'tail',
    ctx: wrap(builder.reg(1)),
    index: wrap(builder.reg(3)),
    maxEntries,
    data,
    insn: builder.index,
  });
  setResult(builder, const64(0n));
}

/** r0 = bytes of the packet in host order; without them the program ends with 0. */
export function emitPacketLoad(
  builder: BlockBuilder,
  insn: BpfInsn,
  { mode, size }: Extract<Opcode, { kind: 'ld_packet' }>,
): void {
  const { module } = builder.context;
  const helper = module.program.fixups.packetLoad;
  if (!helper) throw new VmError('invalid', module.program.name, 'a packet load in a program without a packet', builder.index);
  const offset = mode === 'ind' ? arith('add', false, wrap(builder.reg(insn.src_reg)), const32(insn.imm)) : const32(insn.imm);
  const node = result(false);
  const args = [wrap(builder.reg(6)), offset, const32(size)];
  builder.effects.push({ kind: 'call', callee: module.helper(helper), args, result: node, insn: builder.index });
  const high = builder.word(const32(module.cell('returnHigh')));
  builder.effects.push({ kind: 'return-if', condition: wrap(high) });
  setResult(builder, zeroExtend(node));
}
