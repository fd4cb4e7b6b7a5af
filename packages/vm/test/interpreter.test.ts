import { readFileSync } from 'node:fs';

import fc from 'fast-check';
import { expect, test } from 'vitest';

import { paranoidEngine } from '../src/interpreter/engine.ts';
import { generateLoop } from '../src/interpreter/generate.ts';
import { div64, mod64, mul64, sdiv64, smod64 } from '../src/interpreter/int64.ts';
import { Stepper } from '../src/interpreter/stepper.ts';
import { VmRuntime } from '../src/runtime.ts';
import { generateModules } from '../src/tier/generate.ts';
import { TIER_BLOCK } from '../src/tier/host.ts';
import { load, program } from './engines.ts';

test('the modules of the first tier are what the generator writes, for the place where runtimes are', () => {
  const written = readFileSync(new URL('../src/tier/modules.gen.ts', import.meta.url), 'utf8');
  expect(written.replaceAll(/\s+/g, ' ')).toBe(generateModules().replaceAll(/\s+/g, ' '));
  expect(new VmRuntime().block).toBe(TIER_BLOCK);
});

test('the loop is what the generator writes', () => {
  const written = readFileSync(new URL('../src/interpreter/loop.gen.ts', import.meta.url), 'utf8');
  expect(written.replaceAll(/\s+/g, ' ')).toBe(generateLoop().replaceAll(/\s+/g, ' '));
});

const edges = [
  0n,
  1n,
  2n,
  3n,
  7n,
  0xffffn,
  0x1_0000n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x1_0000_0000n,
  0x1_0000_0001n,
  (1n << 53n) - 1n,
  1n << 53n,
  (1n << 53n) + 1n,
  (1n << 62n) - 1n,
  1n << 62n,
  (1n << 62n) + 1n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
  (1n << 64n) - 2n,
];
const u64 = fc.oneof(
  fc.constantFrom(...edges),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  fc.bigInt({ min: 0n, max: 1n << 33n }),
);
const signed = (value: bigint): bigint => BigInt.asIntN(64, value);

test.each<[string, (regs: Int32Array, at: number, bl: number, bh: number) => void, (a: bigint, b: bigint) => bigint]>([
  ['mul64', mul64, (a, b) => a * b],
  ['div64', div64, (a, b) => (b === 0n ? 0n : a / b)],
  ['mod64', mod64, (a, b) => (b === 0n ? a : a % b)],
  ['sdiv64', sdiv64, (a, b) => (b === 0n ? 0n : signed(a) / signed(b))],
  ['smod64', smod64, (a, b) => (b === 0n ? a : signed(a) % signed(b))],
])('%s over halves is what BigInt says', (_, operation, expected) => {
  const check = (a: bigint, b: bigint): void => {
    const regs = Int32Array.of(Number(BigInt.asIntN(32, a)), Number(BigInt.asIntN(32, a >> 32n)));
    operation(regs, 0, Number(BigInt.asIntN(32, b)), Number(BigInt.asIntN(32, b >> 32n)));
    const result = (BigInt(regs[1]! >>> 0) << 32n) | BigInt(regs[0]! >>> 0);
    if (result !== BigInt.asUintN(64, expected(a, b))) throw new Error(`${a} and ${b}: ${result}`);
  };
  for (const a of edges) for (const b of edges) check(a, b);
  fc.assert(fc.property(u64, u64, check), { numRuns: 20_000 });
});

const SUM = 'r0 = 0\nr6 = 5\ncall pc+3\nr6 += -1\nif r6 != 0x0 goto pc-3\nexit\n*(u64 *)(r10 -8) = 7\nr0 += r6\nexit';

test('a stepper stops at breakpoints, shows registers and frames, and counts', () => {
  const { runtime, loaded } = load('interpreter', {
    ...program('r1 = 5\nr0 = 0\ncall pc+3\nr1 += -1\nif r1 != 0x0 goto pc-3\nexit\n*(u64 *)(r10 -8) = 7\nr0 = 9\nexit'),
    lineOf: (insn) => (insn === 7 ? 'r0 = 9;' : undefined),
  });
  const stepper = new Stepper(runtime, loaded, 0);
  expect(stepper.place).toEqual({ program: 'test', insn: 0, line: undefined, depth: 0 });
  expect(stepper.step()).toBe('step');
  expect(stepper.registers()[1]).toBe(5n);
  stepper.breakpoints.add(7);
  expect(stepper.run()).toBe('breakpoint');
  expect(stepper.place).toEqual({ program: 'test', insn: 7, line: 'r0 = 9;', depth: 1 });
  const [inner, outer] = stepper.stack();
  expect([inner!.insn, outer!.insn]).toEqual([7, 3]);
  expect(inner!.bytes.subarray(504)).toEqual(Uint8Array.of(7, 0, 0, 0, 0, 0, 0, 0));
  expect(outer!.framePointer - inner!.framePointer).toBe(512);
  stepper.breakpoints.clear();
  stepper.setRegister(0, 1n << 40n);
  expect(stepper.step()).toBe('step');
  expect(stepper.registers()[0]).toBe(9n);
  expect(stepper.step()).toBe('step');
  // What a call leaves in r1 is nothing: the loop goes on from -1.
  stepper.setRegister(1, 1n);
  expect(stepper.run()).toBe('exit');
  expect(stepper.result).toBe(9n);
  expect(stepper.lineCounts()).toEqual(new Map([['r0 = 9;', 1]]));
  expect(stepper.counts[3]).toBe(1);
  expect(() => stepper.step()).toThrow(/over/);
});

test('stepping over a call stays in the frame; events come before each instruction', () => {
  const { runtime, loaded } = load('interpreter', program(SUM));
  const stepper = new Stepper(runtime, loaded, 0);
  const seen: number[] = [];
  stepper.onInsn = ({ insn }) => seen.push(insn);
  stepper.step();
  stepper.step();
  stepper.stepOver();
  expect(stepper.place?.insn).toBe(3);
  expect(seen).toEqual([0, 1, 2, 6, 7, 8]);
  stepper.close();
  expect(loaded.run64(0)).toBe(loaded.run64(0));
});

test('only the interpreter steps', () => {
  const { runtime, loaded } = load('jit', program('r0 = 0\nexit'));
  expect(() => new Stepper(runtime, loaded, 0)).toThrow(/can't step/);
});

test('the paranoid engine asks about every access but those of the stack', () => {
  const asked: [address: number, size: number, write: boolean][] = [];
  const runtime = new VmRuntime({
    engines: [paranoidEngine((address, size, write) => (asked.push([address - ctx, size, write]), address + size <= ctx + 16))],
  });
  const ctx = runtime.arena.allocate(64);
  const source = (offset: number): string =>
    `r2 = r10\nr2 += -8\n*(u64 *)(r2 +0) = 1\nr0 = *(u64 *)(r10 -8)\n*(u32 *)(r1 +4) = 3\nr0 = *(u64 *)(r1 +${offset})\nexit`;
  expect(runtime.load(program(source(8))).run64(ctx)).toBe(0n);
  expect(asked).toEqual([
    [4, 4, true],
    [8, 8, false],
  ]);
  expect(() => runtime.load(program(source(12))).run(ctx)).toThrow(expect.objectContaining({ reason: 'access', insn: 5 }));
});
