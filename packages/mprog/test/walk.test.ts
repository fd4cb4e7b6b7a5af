import { Arena, CELL, VmRuntime } from '@libbpf-ts/vm';
import { expect, test } from 'vitest';

import { ArrayPool, ProgArrays } from '../src/arrays.ts';
import { TraceRing } from '../src/trace-ring.ts';
import { installWalk, Walker } from '../src/walker.ts';

const NEXT = -1;

/** WebAssembly `(ctx: i32) -> i64` around a JavaScript function, as a program's slot has it. */
function asProgram(run: (ctx: number) => number): Function {
  const module = new WebAssembly.Module(
    Uint8Array.from([
      0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 11, 2, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 1, 0x7f, 1, 0x7e, 2, 7, 1, 1, 0x6d, 1, 0x66, 0,
      0, 3, 2, 1, 1, 7, 5, 1, 1, 0x70, 0, 1, 10, 9, 1, 7, 0, 0x20, 0, 0x10, 0, 0xac, 0x0b,
    ]),
  );
  return new WebAssembly.Instance(module, { m: { f: run } }).exports['p'] as Function;
}

function world(programs: readonly ((ctx: number) => number)[]) {
  const runtime = new VmRuntime({ arena: new Arena() });
  const pool = new ArrayPool(runtime.arena);
  const fast = programs.map((run, id) => {
    const slot = runtime.functions.allocate();
    runtime.functions.set(slot, asProgram(run));
    return { id, slot };
  });
  const walker = new Walker(runtime, pool, installWalk(runtime, { continueOn: [NEXT] }));
  return { runtime, pool, fast, walker };
}

const log: number[] = [];
const says = (id: number, ret: number) => (): number => {
  log.push(id);
  return ret;
};

test.each<[name: string, rets: number[], result: number, ran: number[]]>([
  ['runs all while they say next', [NEXT, NEXT, NEXT], NEXT, [0, 1, 2]],
  ['ends at a verdict', [NEXT, 2, NEXT], 2, [0, 1]],
  ['ends at any other code', [100, NEXT], 100, [0]],
  ['keeps the sign', [-2, NEXT], -2, [0]],
])('%s', (_, rets, result, ran) => {
  log.length = 0;
  const { walker, pool, fast, runtime } = world(rets.map((ret, id) => says(id, ret)));
  const arrays = new ProgArrays(pool, 7);
  arrays.publish(fast);
  expect(walker.run(arrays, 0)).toBe(result);
  expect(log).toEqual(ran);

  const ring = new TraceRing(runtime.arena, 16);
  expect(walker.trace(arrays, 0, ring.address)).toBe(result);
  expect(ring.read()).toEqual(ran.map((prog) => ({ hook: 7, prog, ret: rets[prog] })));
});

test('a full array of 63 ends at its mark', () => {
  log.length = 0;
  const { walker, pool, fast } = world(Array.from({ length: 63 }, (_, id) => says(id, NEXT)));
  const arrays = new ProgArrays(pool, 1);
  arrays.publish(fast);
  expect(walker.run(arrays, 0)).toBe(NEXT);
  expect(log).toHaveLength(63);
});

test('a trace ring without room counts what it lost', () => {
  const { walker, pool, fast, runtime } = world([says(0, NEXT), says(1, NEXT), says(2, 0)]);
  const arrays = new ProgArrays(pool, 1);
  arrays.publish(fast);
  const ring = new TraceRing(runtime.arena, 2);
  walker.trace(arrays, 0, ring.address);
  expect([ring.read().length, ring.lost]).toEqual([2, 1]);
  ring.reset();
  expect(ring.read()).toEqual([]);
});

test('changes during a walk never touch the array being walked', () => {
  const order: string[] = [];
  let change = (): void => undefined;
  const { walker, pool, fast } = world([
    () => (order.push('first'), change(), NEXT),
    () => (order.push('second'), NEXT),
    () => (order.push('third'), NEXT),
  ]);
  const arrays = new ProgArrays(pool, 1);
  arrays.publish(fast);
  change = () => {
    change = () => undefined;
    // Three changes: the first lands in the idle array, the others would hit the walked one.
    arrays.publish([fast[0]!]);
    arrays.publish([]);
    arrays.publish([fast[2]!]);
    order.push(`nested ${walker.run(arrays, 0)}`);
  };
  walker.run(arrays, 0);
  expect(order).toEqual(['first', 'third', 'nested -1', 'second', 'third']);
  order.length = 0;
  walker.run(arrays, 0);
  expect(order).toEqual(['third']);
});

test('changes at every depth of nesting always find an array, and none is lost', () => {
  let depth = 0;
  const arrays: ProgArrays[] = [];
  const { walker, pool, fast, runtime } = world([
    () => {
      for (let i = 0; i < 3; i++) arrays[0]!.publish([fast[0]!]);
      if (++depth < 16) walker.run(arrays[0]!, 0);
      return NEXT;
    },
  ]);
  const used = runtime.arena.used;
  arrays.push(new ProgArrays(pool, 1));
  arrays[0]!.publish([fast[0]!]);
  walker.run(arrays[0]!, 0);
  expect(depth).toBe(16);
  expect(pool.depth).toBe(0);
  arrays[0]!.free();
  expect(runtime.arena.used).toBe(used);
});

test('a walk that stops in the middle leaves the runtime as it was', () => {
  const { walker, pool, fast, runtime } = world([
    () => {
      runtime.arena.u32[(runtime.block + CELL.stackPointer) >> 2]! -= 512;
      throw new Error('a helper that is missing');
    },
  ]);
  const arrays = new ProgArrays(pool, 1);
  arrays.publish(fast);
  expect(() => walker.run(arrays, 0)).toThrow('a helper that is missing');
  expect(runtime.arena.u32[(runtime.block + CELL.stackPointer) >> 2]).toBe(runtime.stackEnd);
  expect(pool.depth).toBe(0);
});

test('a publish allocates nothing', () => {
  const { pool, fast, runtime } = world([says(0, NEXT)]);
  const arrays = new ProgArrays(pool, 1);
  const used = runtime.arena.used;
  for (let i = 0; i < 10; i++) arrays.publish(i % 2 ? [] : [fast[0]!]);
  expect(runtime.arena.used).toBe(used);
});

test('an array freed while it is walked stays until the walk ends', () => {
  const order: number[] = [];
  let change = (): void => undefined;
  const { walker, pool, fast } = world([() => (order.push(1), change(), NEXT), () => (order.push(2), NEXT)]);
  const arrays = new ProgArrays(pool, 1);
  arrays.publish(fast);
  change = () => {
    arrays.free();
    const other = new ProgArrays(pool, 2);
    other.publish([]);
  };
  walker.run(arrays, 0);
  expect(order).toEqual([1, 2]);
});
