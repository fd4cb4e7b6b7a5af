/**
 * Lays a reducible graph out as WebAssembly blocks and loops, after the dominator tree (Ramsey, "Beyond Relooper", 2022): a block is
 * emitted inside of its dominator; where several paths meet, a `block` ends just before the code.
 */

import type { CodeWriter } from '../wasm/code.ts';
import { OP } from '../wasm/op.ts';
import { successors } from './graph.ts';
import type { Graph } from './graph.ts';
import { loopHolds, loopsOf } from './order.ts';
import type { Loops, Order } from './order.ts';

export interface StructureWriter {
  /** Writes a block's code; a conditional end leaves its condition on the stack. A `return` or `unreachable` end is written as well. */
  block(id: number): void;
  /** Turns the condition on the stack into its opposite. */
  negate(): void;
  /** Whether a jump has to give variables new values, and writes that. */
  hasMoves(from: number, to: number): boolean;
  moves(from: number, to: number): void;
}

interface Layout {
  /** By block: what is emitted after its code, behind labels inside of its loop (if it heads one) or before it; last in order first. */
  readonly inside: readonly number[][];
  readonly outside: readonly number[][];
  readonly labelled: Uint8Array;
  readonly header: Uint8Array;
}

/** A step of the walk still to do. */
type Task =
  | { readonly kind: 'tree'; readonly block: number }
  | { readonly kind: 'go'; readonly from: number; readonly to: number }
  | { readonly kind: 'end' }
  | { readonly kind: 'else' };

export function writeStructure(graph: Graph, order: Order, code: CodeWriter, writer: StructureWriter): void {
  const walk = new Walk(graph, order, code, writer);
  walk.run();
  code.op(OP.unreachable);
}

class Walk {
  readonly #graph: Graph;
  readonly #order: Order;
  readonly #code: CodeWriter;
  readonly #writer: StructureWriter;
  readonly #layout: Layout;
  /** Nesting depth at which a block's label, or its loop, was opened. */
  readonly #labelDepth: Int32Array;
  readonly #loopDepth: Int32Array;
  #depth = 0;
  readonly #tasks: Task[] = [{ kind: 'tree', block: 0 }];

  constructor(graph: Graph, order: Order, code: CodeWriter, writer: StructureWriter) {
    this.#graph = graph;
    this.#order = order;
    this.#code = code;
    this.#writer = writer;
    this.#layout = layoutOf(graph, order);
    this.#labelDepth = new Int32Array(graph.blocks.length);
    this.#loopDepth = new Int32Array(graph.blocks.length);
  }

  run(): void {
    for (let task = this.#tasks.pop(); task; task = this.#tasks.pop()) {
      if (task.kind === 'tree') this.#tree(task.block);
      else if (task.kind === 'go') this.#go(task.from, task.to);
      else if (task.kind === 'else') this.#code.op(OP.else);
      else {
        this.#depth--;
        this.#code.end();
      }
    }
  }

  #open(op: number): number {
    this.#code.open(op);
    return this.#depth++;
  }

  /** Opens what the block needs around it, writes it, and leaves the rest as tasks: the last pushed is done first. */
  #tree(block: number): void {
    const { inside, outside, header } = this.#layout;
    this.#openLabels(outside[block]!);
    if (header[block]) {
      this.#tasks.push({ kind: 'end' });
      this.#loopDepth[block] = this.#open(OP.loop);
    }
    this.#openLabels(inside[block]!);
    this.#writer.block(block);
    this.#leave(block);
  }

  #openLabels(blocks: readonly number[]): void {
    for (const block of blocks) {
      this.#tasks.push({ kind: 'tree', block }, { kind: 'end' });
      this.#labelDepth[block] = this.#open(OP.block);
    }
  }

  #leave(from: number): void {
    const { term } = this.#graph.blocks[from]!;
    switch (term.kind) {
      case 'goto':
        return this.#go(from, term.to);
      case 'branch':
      case 'may_goto':
        return this.#branch(from, term.taken, term.next);
      case 'dispatch': {
        const depths = term.targets.map((to) => this.#target(from, to)!);
        return void this.#code.brTable(depths.slice(0, -1), depths[depths.length - 1]!);
      }
    }
  }

  #branch(from: number, taken: number, next: number): void {
    if (this.#target(from, taken) !== undefined) {
      this.#jumpIf(from, taken);
      return this.#go(from, next);
    }
    if (this.#target(from, next) !== undefined) {
      this.#writer.negate();
      this.#jumpIf(from, next);
      return this.#go(from, taken);
    }
    this.#open(OP.if);
    this.#tasks.push({ kind: 'end' }, { kind: 'go', from, to: next }, { kind: 'else' }, { kind: 'go', from, to: taken });
  }

  /** Pops a condition and jumps to a label where it holds. */
  #jumpIf(from: number, to: number): void {
    if (!this.#writer.hasMoves(from, to)) return void this.#code.brIf(this.#target(from, to)!);
    this.#open(OP.if);
    this.#writer.moves(from, to);
    this.#code.br(this.#target(from, to)!).end();
    this.#depth--;
  }

  #go(from: number, to: number): void {
    this.#writer.moves(from, to);
    const depth = this.#target(from, to);
    if (depth === undefined) this.#tasks.push({ kind: 'tree', block: to });
    // Where the label's end comes next, falling through is the same.
    else if (!this.#fallsInto(to)) this.#code.br(depth);
  }

  /** Whether the walk goes on with the end of this block's label. */
  #fallsInto(to: number): boolean {
    const { length } = this.#tasks;
    const next = this.#tasks[length - 2];
    return this.#tasks[length - 1]?.kind === 'end' && next?.kind === 'tree' && next.block === to;
  }

  /** Branch depth of a jump, or undefined where the target's code follows in place. */
  #target(from: number, to: number): number | undefined {
    if (this.#order.place[to]! <= this.#order.place[from]!) return this.#depth - 1 - this.#loopDepth[to]!;
    return this.#layout.labelled[to] ? this.#depth - 1 - this.#labelDepth[to]! : undefined;
  }
}

function layoutOf(graph: Graph, order: Order): Layout {
  const count = graph.blocks.length;
  const loops = loopsOf(order);
  const inside: number[][] = Array.from({ length: count }, () => []);
  const outside: number[][] = Array.from({ length: count }, () => []);
  const labelled = new Uint8Array(count);
  const header = new Uint8Array(count);
  for (const block of loops.headers) header[block] = 1;
  for (const block of order.rpo) {
    if (graph.blocks[block]!.term.kind !== 'dispatch') continue;
    for (const to of successors(graph.blocks[block]!.term)) labelled[to] = 1;
  }
  for (let index = order.rpo.length - 1; index > 0; index--) {
    const block = order.rpo[index]!;
    const dominator = order.idom[block]!;
    const left = leftLoop(loops, dominator, block);
    const forward = order.preds[block]!.filter((pred) => order.place[pred]! < index).length;
    if (left >= 0 || forward > 1) labelled[block] = 1;
    if (!labelled[block]) continue;
    if (left >= 0) outside[left]!.push(block);
    else inside[dominator]!.push(block);
  }
  return { inside, outside, labelled, header };
}

/** The outermost loop, by header, that holds the dominator and not the block: its code goes behind that loop, not into it. */
function leftLoop(loops: Loops, dominator: number, block: number): number {
  let left = -1;
  for (let loop = loops.of[dominator]!; loop >= 0; loop = loops.parent[loop]!) if (!loopHolds(loops, loop, block)) left = loop;
  return left;
}
