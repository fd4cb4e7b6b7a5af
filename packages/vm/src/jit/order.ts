/** Order, dominators and loops of a graph, each in (almost) linear time. */

import { successors } from './graph.ts';
import type { Graph } from './graph.ts';

export interface Order {
  /** Reachable blocks in reverse postorder. */
  readonly rpo: readonly number[];
  /** Place of a block in `rpo`; -1 where it is not reachable. */
  readonly place: Int32Array;
  readonly preds: readonly (readonly number[])[];
  /** Immediate dominator; -1 for the entry. */
  readonly idom: Int32Array;
}

export interface Loops {
  /** Innermost loop of a block, by its header; -1 outside of loops. A header is in its own loop. */
  readonly of: Int32Array;
  /** The loop around a loop, by headers; -1 where there is none. */
  readonly parent: Int32Array;
  /** Headers, inner ones before outer ones. */
  readonly headers: readonly number[];
}

export function orderOf(graph: Graph): Order {
  const count = graph.blocks.length;
  const preorder: number[] = [];
  const parent = new Int32Array(count).fill(-1);
  const rpo = depthFirst(graph, preorder, parent);
  const place = new Int32Array(count).fill(-1);
  rpo.forEach((block, index) => (place[block] = index));
  const preds: number[][] = Array.from({ length: count }, () => []);
  for (const block of rpo) for (const next of successors(graph.blocks[block]!.term)) preds[next]!.push(block);
  return { rpo, place, preds, idom: dominators(count, preorder, parent, preds) };
}

/** Fills preorder and the tree's parents; returns reverse postorder. */
function depthFirst(graph: Graph, preorder: number[], parent: Int32Array): number[] {
  const seen = new Uint8Array(graph.blocks.length);
  const postorder: number[] = [];
  const stack: { block: number; next: readonly number[]; at: number }[] = [];
  const enter = (block: number): void => {
    seen[block] = 1;
    preorder.push(block);
    stack.push({ block, next: successors(graph.blocks[block]!.term), at: 0 });
  };
  enter(0);
  while (stack.length > 0) {
    const top = stack[stack.length - 1]!;
    const next = top.next[top.at++];
    if (next === undefined) {
      postorder.push(top.block);
      stack.pop();
    } else if (!seen[next]) {
      parent[next] = top.block;
      enter(next);
    }
  }
  return postorder.reverse();
}

/** Semi-NCA (Georgiadis): semidominators with path compression, then the nearest common ancestor on the tree built so far. */
function dominators(
  count: number,
  preorder: readonly number[],
  parent: Int32Array,
  preds: readonly (readonly number[])[],
): Int32Array {
  const number = new Int32Array(count).fill(-1);
  preorder.forEach((block, index) => (number[block] = index));
  const size = preorder.length;
  const semi = Int32Array.from({ length: size }, (_, index) => index);
  const label = Int32Array.from(semi);
  const ancestor = new Int32Array(size).fill(-1);
  const tree = Int32Array.from(preorder, (block) => (parent[block]! < 0 ? -1 : number[parent[block]!]!));
  const path: number[] = [];
  const evaluate = (vertex: number): number => {
    if (ancestor[vertex]! < 0) return vertex;
    path.length = 0;
    for (let at = vertex; ancestor[ancestor[at]!]! >= 0; at = ancestor[at]!) path.push(at);
    for (let index = path.length - 1; index >= 0; index--) {
      const at = path[index]!;
      const up = ancestor[at]!;
      if (semi[label[up]!]! < semi[label[at]!]!) label[at] = label[up]!;
      ancestor[at] = ancestor[up]!;
    }
    return label[vertex]!;
  };
  for (let w = size - 1; w > 0; w--) {
    for (const pred of preds[preorder[w]!]!) semi[w] = Math.min(semi[w]!, semi[evaluate(number[pred]!)]!);
    ancestor[w] = tree[w]!;
  }
  const idom = Int32Array.from(tree);
  for (let w = 1; w < size; w++) while (idom[w]! > semi[w]!) idom[w] = idom[idom[w]!]!;
  const result = new Int32Array(count).fill(-1);
  for (let w = 1; w < size; w++) result[preorder[w]!] = preorder[idom[w]!]!;
  return result;
}

/** Whether every loop has one entry: each edge back in order goes to a dominator. */
export function isReducible(order: Order): boolean {
  const { tin, tout } = treeIntervals(order);
  for (const block of order.rpo) {
    for (const pred of order.preds[block]!) {
      if (order.place[pred]! >= order.place[block]! && !(tin[block]! <= tin[pred]! && tout[pred]! <= tout[block]!))
        return false;
    }
  }
  return true;
}

/** Entry and exit times on the dominator tree: a dominates b where a's interval holds b's. */
function treeIntervals(order: Order): { tin: Int32Array; tout: Int32Array } {
  const count = order.place.length;
  const children: number[][] = Array.from({ length: count }, () => []);
  for (const block of order.rpo) if (order.idom[block]! >= 0) children[order.idom[block]!]!.push(block);
  const tin = new Int32Array(count);
  const tout = new Int32Array(count);
  const stack = [0];
  const cursor = new Int32Array(count);
  let time = 0;
  tin[0] = time++;
  while (stack.length > 0) {
    const block = stack[stack.length - 1]!;
    const child = children[block]![cursor[block]!++];
    if (child === undefined) {
      tout[block] = time++;
      stack.pop();
    } else {
      tin[child] = time++;
      stack.push(child);
    }
  }
  return { tin, tout };
}

/** Natural loops of a reducible graph, inner loops collapsed before outer ones look at them. */
export function loopsOf(order: Order): Loops {
  const count = order.place.length;
  const of = new Int32Array(count).fill(-1);
  const parent = new Int32Array(count).fill(-1);
  const headers: number[] = [];
  // The outermost loop found so far that holds a block, with path compression.
  const outer = Int32Array.from({ length: count }, (_, block) => block);
  const find = (block: number): number => {
    let root = block;
    while (outer[root] !== root) root = outer[root]!;
    for (let at = block; at !== root;) {
      const up = outer[at]!;
      outer[at] = root;
      at = up;
    }
    return root;
  };
  for (let index = order.rpo.length - 1; index >= 0; index--) {
    const header = order.rpo[index]!;
    const work = order.preds[header]!.filter((pred) => order.place[pred]! >= index).map(find);
    if (work.length === 0) continue;
    headers.push(header);
    of[header] = header;
    while (work.length > 0) {
      const block = find(work.pop()!);
      if (block === header) continue;
      if (of[block] === block) parent[block] = header;
      else of[block] = header;
      outer[block] = header;
      work.push(...order.preds[block]!);
    }
  }
  return { of, parent, headers };
}

/** Whether the loop with this header holds the block. */
export function loopHolds(loops: Loops, header: number, block: number): boolean {
  for (let at = loops.of[block]!; at >= 0; at = loops.parent[at]!) if (at === header) return true;
  return false;
}
