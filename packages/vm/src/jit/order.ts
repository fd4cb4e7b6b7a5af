/** Order, dominators and loops of a graph, each in (almost) linear time. */

import { successors } from './graph.ts';
import type { Graph } from './graph.ts';

export interface Order {
  /** Reachable blocks in reverse postorder. */
  readonly rpo: readonly number[];
  /** Place of a block in `rpo`; -1 where it is not reachable. */
  readonly place: Int32Array;
  readonly preds: readonly (readonly number[])[];
  readonly succs: readonly (readonly number[])[];
  /** Immediate dominator; -1 for the entry. */
  readonly idom: Int32Array;
  /** Some edge goes back in the order. */
  readonly cyclic: boolean;
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
  const succs = graph.blocks.map(({ term }) => successors(term));
  const rpo = depthFirst(succs, preorder, parent);
  const place = new Int32Array(count).fill(-1);
  rpo.forEach((block, index) => (place[block] = index));
  const preds: number[][] = succs.map(() => []);
  let cyclic = false;
  for (const block of rpo) {
    for (const next of succs[block]!) {
      preds[next]!.push(block);
      if (place[next]! <= place[block]!) cyclic = true;
    }
  }
  return { rpo, place, preds, succs, idom: dominators(count, preorder, parent, preds), cyclic };
}

/** Fills preorder and the tree's parents; returns reverse postorder. */
function depthFirst(succs: readonly (readonly number[])[], preorder: number[], parent: Int32Array): number[] {
  const seen = new Uint8Array(succs.length);
  const postorder: number[] = [];
  /** Successors of a block that have been looked at. */
  const cursor = new Int32Array(succs.length);
  const stack: number[] = [];
  const enter = (block: number): void => {
    seen[block] = 1;
    preorder.push(block);
    stack.push(block);
  };
  enter(0);
  while (stack.length > 0) {
    const block = stack[stack.length - 1]!;
    const next = succs[block]![cursor[block]!++];
    if (next === undefined) {
      postorder.push(block);
      stack.pop();
    } else if (!seen[next]) {
      parent[next] = block;
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
  const semi = new Int32Array(size);
  const tree = new Int32Array(size);
  preorder.forEach((block, index) => {
    semi[index] = index;
    tree[index] = parent[block]! < 0 ? -1 : number[parent[block]!]!;
  });
  const label = semi.slice();
  const ancestor = new Int32Array(size).fill(-1);
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
  const idom = tree.slice();
  for (let w = 1; w < size; w++) while (idom[w]! > semi[w]!) idom[w] = idom[idom[w]!]!;
  const result = new Int32Array(count).fill(-1);
  for (let w = 1; w < size; w++) result[preorder[w]!] = preorder[idom[w]!]!;
  return result;
}

/** Whether every loop has one entry: each edge back in order goes to a dominator. */
export function isReducible(order: Order): boolean {
  if (!order.cyclic) return true;
  const { enter, leave } = intervalsOf(order, order.idom);
  for (const block of order.rpo) {
    for (const pred of order.preds[block]!) {
      if (order.place[pred]! >= order.place[block]! && !(enter[block]! <= enter[pred]! && enter[pred]! < leave[block]!))
        return false;
    }
  }
  return true;
}

/**
 * Numbers a forest whose parents come before their children in the order, so that what is below a block has the numbers
 * from its `enter` up to its `leave`.
 */
export function intervalsOf({ rpo }: Order, parent: Int32Array): { enter: Int32Array; leave: Int32Array } {
  const enter = new Int32Array(parent.length);
  const leave = new Int32Array(parent.length);
  // Sizes of the trees first, then the places in them.
  for (let index = rpo.length - 1; index >= 0; index--) {
    const block = rpo[index]!;
    leave[block]!++;
    if (parent[block]! >= 0) leave[parent[block]!]! += leave[block]!;
  }
  const next = new Int32Array(parent.length);
  let time = 0;
  for (const block of rpo) {
    const up = parent[block]!;
    const size = leave[block]!;
    enter[block] = up < 0 ? time : next[up]!;
    if (up < 0) time += size;
    else next[up]! += size;
    next[block] = enter[block]! + 1;
    leave[block] = enter[block]! + size;
  }
  return { enter, leave };
}

/** Natural loops of a reducible graph, inner loops collapsed before outer ones look at them. */
export function loopsOf(order: Order): Loops {
  const count = order.place.length;
  const of = new Int32Array(count).fill(-1);
  const parent = new Int32Array(count).fill(-1);
  const headers: number[] = [];
  if (!order.cyclic) return { of, parent, headers };
  // The outermost loop found so far that holds a block, with path compression.
  const outer = new Int32Array(count);
  for (let block = 0; block < count; block++) outer[block] = block;
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
