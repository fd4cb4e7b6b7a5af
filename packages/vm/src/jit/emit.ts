/** Writes a block's effects and nodes as WebAssembly. */

import { TRAP_REASON } from '../cells.ts';
import type { CodeWriter } from '../wasm/code.ts';
import { I32, I64, OP } from '../wasm/op.ts';
import type { ValueType } from '../wasm/op.ts';
import type { FunctionContext } from './context.ts';
import type { Effect } from './effect.ts';
import { isConst, NODE } from './node.ts';
import type { Node } from './node.ts';

/** Locals of the function in hand. */
export interface FunctionLocals {
  /** Local of the frame's lowest address (i32). */
  readonly frame: number;
  /** Local of each variable (i64). */
  readonly variable: (variable: number) => number;
  /** A new local. */
  readonly add: (type: ValueType) => number;
}

/** Called where an instruction that may trap has been written: offset in the code, instruction. */
export type PlaceRecorder = (offset: number, insn: number) => void;

/** The tree of blocks that have one predecessor each, under it: where a value once emitted is still there. */
export interface Paths {
  /** The only predecessor of a block, whose state it goes on with; -1 where several paths meet. */
  readonly parent: Int32Array;
  /** The first block of the path. */
  readonly root: Int32Array;
  /** A block's place in a walk of the tree, and the place after the last one below it. */
  readonly enter: Int32Array;
  readonly leave: Int32Array;
}

/** What a block leaves to the blocks below it. */
interface Leftover {
  readonly pending: Set<Node>;
  readonly taken32: number;
  readonly taken64: number;
}

/** Owner of a local that only the jump in hand may use. */
const EDGE = -2;

export class Emitter {
  readonly code: CodeWriter;
  readonly #context: FunctionContext;
  readonly #locals: FunctionLocals;
  readonly #record: PlaceRecorder | undefined;
  readonly #restore: () => void;
  readonly paths: Paths;
  /** Temporaries by type, and how many of them are in use on the path in hand. */
  readonly #pool32: number[] = [];
  readonly #pool64: number[] = [];
  #taken32 = 0;
  #taken64 = 0;
  /** Loads whose place has passed and that are not emitted yet. */
  #pending: Set<Node> = new Set();
  readonly #left: Leftover[] = [];
  #block = 0;
  /** Inside of a jump: what to undo after it. */
  #trail: { node: Node; local: number; owner: number }[] | undefined;

  /** `restore` writes what must happen before the function returns. */
  constructor(
    code: CodeWriter,
    context: FunctionContext,
    locals: FunctionLocals,
    paths: Paths,
    restore: () => void,
    record?: PlaceRecorder,
  ) {
    this.code = code;
    this.#context = context;
    this.#locals = locals;
    this.paths = paths;
    this.#restore = restore;
    this.#record = record;
  }

  /** Effects, then `last` (a condition, or r0 of a block that returns), left on the stack. `live` are values that something below needs. */
  block(id: number, effects: readonly Effect[], last: Node | undefined, live: readonly Node[]): void {
    this.#enter(id);
    for (const effect of effects) countEffect(effect);
    if (last) count(last);
    for (const node of live) count(node);
    for (const effect of effects) (this.#effects[effect.kind] as (effect: Effect) => void)(effect);
    if (last) this.node(last);
    this.#left[id] = { pending: this.#pending, taken32: this.#taken32, taken64: this.#taken64 };
  }

  /** Gives variables their new values, all at once, on the way out of a block. */
  moves(from: number, moves: readonly (readonly [variable: number, node: Node])[]): void {
    const left = this.#left[from]!;
    this.#block = from;
    // Nothing is taken out of it: the paths that do not jump still need these loads.
    this.#pending = left.pending;
    this.#taken32 = left.taken32;
    this.#taken64 = left.taken64;
    this.#trail = [];
    for (const [, node] of moves) this.node(node);
    for (let index = moves.length - 1; index >= 0; index--) this.code.set(this.#locals.variable(moves[index]![0]));
    for (const { node, local, owner } of this.#trail.reverse()) {
      node.local = local;
      node.owner = owner;
    }
    this.#trail = undefined;
  }

  #enter(id: number): void {
    const parent = this.paths.parent[id]!;
    const left = parent < 0 ? undefined : this.#left[parent];
    this.#block = id;
    this.#pending = left && left.pending.size > 0 ? new Set(left.pending) : new Set();
    this.#taken32 = left ? left.taken32 : 0;
    this.#taken64 = left ? left.taken64 : 0;
  }

  /** The local that holds a node's value here, or -1. */
  #home(node: Node): number {
    if (node.local < 0) return -1;
    if (this.#holds(node.owner)) return node.local;
    if (node.elsewhere) for (const { owner, local } of node.elsewhere) if (this.#holds(owner)) return local;
    return -1;
  }

  #holds(owner: number): boolean {
    if (owner === EDGE) return true;
    const { enter, leave } = this.paths;
    const here = enter[this.#block]!;
    return enter[owner]! <= here && here < leave[owner]!;
  }

  #settle(node: Node, local: number): void {
    if (this.#trail) {
      this.#trail.push({ node, local: node.local, owner: node.owner });
      node.owner = EDGE;
    } else {
      if (node.local >= 0) (node.elsewhere ??= []).push({ owner: node.owner, local: node.local });
      node.owner = this.#block;
      this.#pending.delete(node);
    }
    node.local = local;
  }

  readonly #effects: { readonly [Kind in Effect['kind']]: (effect: Extract<Effect, { kind: Kind }>) => void } = {
    load: ({ node }) => {
      if (node.checked) this.#materialise(node);
      else if (node.uses > 0) this.#pending.add(node);
    },
    pin: ({ node }) => this.#materialise(node),
    store: ({ op, base, offset, value, insn }) => {
      this.node(base);
      this.node(value);
      this.#flush();
      this.code.access(op, offset);
      this.#record?.(this.code.length, insn);
    },
    call: (effect) => this.#call(effect),
    check: ({ address, size, insn }) => this.#check(address, size, insn),
    tail: (effect) => this.#tail(effect),
    'return-if': ({ condition }) => {
      this.#flush();
      this.node(condition);
      this.code.open(OP.if);
      this.#restore();
      this.code.i64(0n).op(OP.return).end();
    },
    'trap-if': ({ condition, reason, insn }) => {
      this.node(condition);
      this.#trapIf(reason, insn);
    },
    fuel: ({ count: instructions }) => {
      const cell = this.#context.module.cell('fuel');
      const left = this.#temporary(I64);
      this.code.i32(cell).i32(cell).access(OP.i64_load).i64(BigInt(instructions)).op(OP.i64_sub).tee(left).access(OP.i64_store);
      this.code.get(left).i64(0n).op(OP.i64_lt_s);
      this.#trapIf(TRAP_REASON.fuel, -1);
    },
  };

  /** Pops a condition; traps with the reason where it holds. */
  #trapIf(reason: number, insn: number): void {
    this.code.open(OP.if).i32(this.#context.module.cell('trapReason')).i32(reason).access(OP.i32_store).op(OP.unreachable);
    this.#record?.(this.code.length, insn);
    this.code.end();
  }

  #check(address: Node, size: number, insn: number): void {
    const { start, end } = this.#context.module.region!;
    if (end - start < size) {
      this.code.i32(1);
      return this.#trapIf(TRAP_REASON.access, insn);
    }
    this.node(address);
    this.code
      .i64(BigInt(start))
      .op(OP.i64_sub)
      .i64(BigInt(end - start - size))
      .op(OP.i64_gt_u);
    this.#trapIf(TRAP_REASON.access, insn);
  }

  #call({ callee, args, result, insn }: Extract<Effect, { kind: 'call' }>): void {
    for (const arg of args) this.node(arg);
    this.#flush();
    this.code.call(callee.index);
    this.#record?.(this.code.length, insn);
    if (callee.returns === 'void') return;
    if (!result || result.uses === 0) this.code.op(OP.drop);
    else {
      const local = this.#temporary(result.wide ? I64 : I32);
      this.code.set(local);
      this.#settle(result, local);
    }
  }

  #tail({ ctx, index, maxEntries, data, insn }: Extract<Effect, { kind: 'tail' }>): void {
    const { code } = this;
    const { module } = this.#context;
    for (const node of [ctx, index, maxEntries, data]) this.#materialise(node);
    this.#flush();
    const slot = this.#temporary(I32);
    this.node(index);
    this.node(maxEntries);
    code.op(OP.i32_lt_u).open(OP.if);
    code.i32(module.cell('tailCalls')).access(OP.i32_load).i32(33).op(OP.i32_lt_u).open(OP.if);
    this.node(data);
    this.node(index);
    code.i32(2).op(OP.i32_shl, OP.i32_add).access(OP.i32_load).tee(slot).open(OP.if);
    code
      .i32(module.cell('tailCalls'))
      .i32(module.cell('tailCalls'))
      .access(OP.i32_load)
      .i32(1)
      .op(OP.i32_add)
      .access(OP.i32_store);
    this.#restore();
    this.node(ctx);
    code.get(slot).i32(1).op(OP.i32_add).returnCallIndirect(module.programType);
    this.#record?.(code.length, insn);
    code.end().end().end();
  }

  /** Emits the pending loads that something still needs, since memory may change now. */
  #flush(): void {
    if (this.#pending.size === 0) return;
    const pending = [...this.#pending];
    this.#pending.clear();
    for (const node of pending) this.#materialise(node);
  }

  /** Gives a node a local, now. */
  #materialise(node: Node): void {
    if (node.op === NODE.result && node.c) return this.#materialise(node.c);
    if (isTrivial(node) || this.#home(node) >= 0) return;
    this.#write(node);
    const local = this.#temporary(node.wide ? I64 : I32);
    this.code.set(local);
    this.#settle(node, local);
  }

  /** Leaves the node's value on the stack. */
  node(node: Node): void {
    const home = this.#home(node);
    if (home >= 0) return void this.code.get(home);
    if (node.op === NODE.result && node.c) return this.node(node.c);
    const isLoad = node.insn >= 0;
    if (isLoad && !node.checked && !this.#pending.has(node)) throw new Error('a load is needed after its place');
    this.#write(node);
    // A load may happen once only: what simplifies expressions further down the path may find it inside of another.
    if ((node.uses > 1 || isLoad) && !isTrivial(node)) {
      const local = this.#temporary(node.wide ? I64 : I32);
      this.code.tee(local);
      this.#settle(node, local);
    }
  }

  #temporary(type: ValueType): number {
    if (type === I32) return (this.#pool32[this.#taken32++] ??= this.#locals.add(I32));
    return (this.#pool64[this.#taken64++] ??= this.#locals.add(I64));
  }

  #write(node: Node): void {
    const { code } = this;
    switch (node.op) {
      case NODE.const:
        return void (node.wide ? code.i64(node.big) : code.i32(node.k));
      case NODE.variable:
        return void code.get(this.#locals.variable(node.k));
      case NODE.frame:
        return void code.get(this.#locals.frame);
      case NODE.frameAddress:
        this.#frameAddress(node.k);
        return void code.op(OP.i64_extend_i32_u);
      case NODE.select:
        this.node(node.b!);
        this.node(node.c!);
        this.node(node.a!);
        return void code.op(OP.select);
      case NODE.bswap:
        return this.#bswap(node);
      case NODE.divide:
        return this.#divide(node);
      case OP.i32_wrap_i64:
        if (node.a!.op === NODE.frameAddress) return this.#frameAddress(node.a!.k);
        this.node(node.a!);
        return void code.op(node.op);
      case 0x3f:
        return void code.op(0x3f, 0);
      default:
        return this.#plain(node);
    }
  }

  #plain(node: Node): void {
    if (node.a) this.node(node.a);
    if (node.b) this.node(node.b);
    if (node.insn < 0) return void this.code.op(node.op);
    this.code.access(node.op, node.k);
    this.#record?.(this.code.length, node.insn);
  }

  #frameAddress(offset: number): void {
    const up = this.#context.graph.frameSize + offset;
    this.code.get(this.#locals.frame);
    if (up !== 0) this.code.i32(up).op(OP.i32_add);
  }

  /** Both operands get locals first: a value made in one arm is not there in the other. */
  #divide(node: Node): void {
    const { code } = this;
    const [a, b, otherwise] = [node.a!, node.b!, node.c!];
    const type = node.wide ? I64 : I32;
    for (const operand of [a, b, otherwise]) this.#materialise(operand);
    this.node(b);
    code.op(node.wide ? OP.i64_eqz : OP.i32_eqz).open(OP.if, type);
    this.node(otherwise);
    code.op(OP.else);
    const signed = node.k === OP.i64_div_s || node.k === OP.i32_div_s;
    if (signed) {
      // The most negative number by -1 would trap; BPF says it stays as it is.
      this.node(b);
      if (node.wide) code.i64(-1n).op(OP.i64_eq);
      else code.i32(-1).op(OP.i32_eq);
      code.open(OP.if, type);
      if (node.wide) code.i64(0n);
      else code.i32(0);
      this.node(a);
      code.op(node.wide ? OP.i64_sub : OP.i32_sub, OP.else);
    }
    this.node(a);
    this.node(b);
    code.op(node.k);
    if (signed) code.end();
    code.end();
  }

  #bswap(node: Node): void {
    const { code } = this;
    const x = node.a!;
    if (node.k === 16 && this.#swapsLoad(x)) return;
    this.#materialise(x);
    if (node.k === 16) {
      this.node(x);
      code.i32(8).op(OP.i32_shr_u);
      if (x.bits > 16) code.i32(0xff).op(OP.i32_and);
      this.node(x);
      code.i32(8).op(OP.i32_shl).i32(0xff00).op(OP.i32_and, OP.i32_or);
    } else if (node.k === 32) {
      this.node(x);
      code.i32(8).op(OP.i32_rotl).i32(0x00ff_00ff).op(OP.i32_and);
      this.node(x);
      code
        .i32(8)
        .op(OP.i32_rotr)
        .i32(0xff00_ff00 | 0)
        .op(OP.i32_and, OP.i32_or);
    } else this.#bswap64(x);
  }

  #bswap64(x: Node): void {
    const { code } = this;
    const half = this.#temporary(I64);
    const step = (push: () => void, mask: bigint, shift: bigint): void => {
      push();
      code.i64(mask).op(OP.i64_and).i64(shift).op(OP.i64_shl);
      push();
      code.i64(shift).op(OP.i64_shr_u).i64(mask).op(OP.i64_and, OP.i64_or);
    };
    step(() => this.node(x), 0x00ff_00ff_00ff_00ffn, 8n);
    code.set(half);
    step(() => void code.get(half), 0x0000_ffff_0000_ffffn, 16n);
    code.i64(32n).op(OP.i64_rotl);
  }

  /** A 16-bit load that only the swap needs is two loads of a byte. */
  #swapsLoad(x: Node): boolean {
    const load = x.op === OP.i32_wrap_i64 && this.#home(x) < 0 && x.uses === 1 ? x.a! : undefined;
    if (load?.op !== OP.i64_load16_u || load.uses !== 1 || this.#home(load) >= 0 || load.checked) return false;
    const { code } = this;
    const base = load.a!;
    this.#materialise(base);
    this.node(base);
    code.access(OP.i32_load8_u, load.k);
    this.#record?.(code.length, load.insn);
    code.i32(8).op(OP.i32_shl);
    this.node(base);
    code.access(OP.i32_load8_u, load.k + 1).op(OP.i32_or);
    return true;
  }
}

function isTrivial(node: Node): boolean {
  return isConst(node) || node.op === NODE.variable || node.op === NODE.frame || node.op === NODE.frameAddress;
}

function countEffect(effect: Effect): void {
  switch (effect.kind) {
    case 'load':
      // Only what is checked happens for its own sake.
      return effect.node.checked ? count(effect.node) : undefined;
    case 'pin':
      return count(effect.node);
    case 'store':
      count(effect.base);
      return count(effect.value);
    case 'call':
      for (const arg of effect.args) count(arg);
      return;
    case 'check':
      return count(effect.address);
    case 'tail':
      for (const node of [effect.ctx, effect.index, effect.maxEntries, effect.data]) {
        count(node);
        count(node);
      }
      return;
    case 'return-if':
    case 'trap-if':
      return count(effect.condition);
    case 'fuel':
      return;
  }
}

/** Counts references, going into operands the first time only. */
function count(node: Node): void {
  if (isConst(node)) return;
  node.uses++;
  if (node.uses > 1) return;
  if (node.a) count(node.a);
  if (node.b) count(node.b);
  if (node.c) count(node.c);
}
