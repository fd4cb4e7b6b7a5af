/** Gives each loop with several entries one: a dispatch block that all edges into the entries go through. */

import { successors } from './graph.ts';
import type { Block, Graph, Terminator } from './graph.ts';

/** Changes `graph` so that it is reducible. Blocks outside of irreducible loops stay as they are. */
export function makeReducible(graph: Graph): void {
  fix(graph, new Set(graph.blocks.keys()), 0);
}

/** Looks for loops among `blocks`, whose own entry is `entry`, then inside of each loop without its header. */
function fix(graph: Graph, blocks: ReadonlySet<number>, entry: number): void {
  for (const component of components(graph, blocks)) {
    const inside = new Set(component);
    const entries = component.filter((block) => block === entry || enteredFromOutside(graph, block, inside));
    if (entries.length === 0) continue;
    let header = entries[0]!;
    if (entries.length > 1) {
      header = addDispatch(graph, entries, inside);
    }
    inside.delete(header);
    fix(graph, inside, -1);
  }
}

function enteredFromOutside(graph: Graph, block: number, inside: ReadonlySet<number>): boolean {
  return graph.blocks.some(({ term }, from) => !inside.has(from) && successors(term).includes(block));
}

/** Adds the dispatch block and what sets its selector: edges from inside and from outside must not share, or the loop had two entries again. */
function addDispatch(graph: Graph, entries: readonly number[], inside: Set<number>): number {
  const selector = graph.vars++;
  const dispatch = graph.blocks.length;
  const frame = graph.blocks[entries[0]!]!.frame;
  graph.blocks.push({ frame, start: 0, end: 0, term: { kind: 'dispatch', selector, targets: [...entries] } });
  const addShims = (): number[] =>
    entries.map((_, value) => {
      const shim: Block = { frame, start: 0, end: 0, term: { kind: 'goto', to: dispatch }, select: { selector, value } };
      return graph.blocks.push(shim) - 1;
    });
  const [inner, outer] = [addShims(), addShims()];
  for (let block = 0; block < dispatch; block++) {
    const shims = inside.has(block) ? inner : outer;
    graph.blocks[block]!.term = redirect(graph.blocks[block]!.term, (to) => shims[entries.indexOf(to)] ?? to);
  }
  for (const shim of inner) inside.add(shim);
  return dispatch;
}

/** Lets jumps go straight through blocks that do nothing but jump on. */
export function threadJumps(graph: Graph): void {
  const through = (to: number): number => {
    let at = to;
    for (let steps = 0; steps < 16; steps++) {
      const { start, end, term } = graph.blocks[at]!;
      if (start !== end || term.kind !== 'goto' || at === 0) break;
      at = term.to;
    }
    return at;
  };
  for (const block of graph.blocks) block.term = redirect(block.term, through);
}

/** The terminator with each target mapped. */
export function redirect(term: Terminator, map: (to: number) => number): Terminator {
  switch (term.kind) {
    case 'goto': {
      const to = map(term.to);
      return to === term.to ? term : { kind: 'goto', to };
    }
    case 'branch':
    case 'may_goto': {
      const [taken, next] = [map(term.taken), map(term.next)];
      return taken === term.taken && next === term.next ? term : { kind: term.kind, insn: term.insn, taken, next };
    }
    case 'dispatch':
      return { ...term, targets: term.targets.map(map) };
    default:
      return term;
  }
}

/** Strongly connected components with a cycle, by Tarjan's algorithm with a stack of its own. */
function components(graph: Graph, blocks: ReadonlySet<number>): number[][] {
  const index = new Map<number, number>();
  const low = new Map<number, number>();
  const stack: number[] = [];
  const onStack = new Set<number>();
  const result: number[][] = [];
  const next = (block: number): number[] => successors(graph.blocks[block]!.term).filter((to) => blocks.has(to));
  for (const root of blocks) {
    if (index.has(root)) continue;
    const work: { block: number; to: number[] }[] = [];
    const enter = (block: number): void => {
      index.set(block, index.size);
      low.set(block, index.get(block)!);
      stack.push(block);
      onStack.add(block);
      work.push({ block, to: next(block) });
    };
    enter(root);
    while (work.length > 0) {
      const { block, to } = work[work.length - 1]!;
      const target = to.pop();
      if (target !== undefined) {
        if (!index.has(target)) enter(target);
        else if (onStack.has(target)) low.set(block, Math.min(low.get(block)!, index.get(target)!));
        continue;
      }
      work.pop();
      const above = work[work.length - 1];
      if (above) low.set(above.block, Math.min(low.get(above.block)!, low.get(block)!));
      if (low.get(block) !== index.get(block)) continue;
      const component: number[] = [];
      for (let member = -1; member !== block;) {
        member = stack.pop()!;
        onStack.delete(member);
        component.push(member);
      }
      if (component.length > 1 || next(block).includes(block)) result.push(component);
    }
  }
  return result;
}
