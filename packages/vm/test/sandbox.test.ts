import { build } from 'vite';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { assemble, encode } from '@libbpf-ts/isa';
import { describe, expect, test } from 'vitest';

import { Sandbox } from '../src/sandbox.ts';

const trap = (reason: string, insn?: number): unknown =>
  expect.objectContaining({ code: 'VM_TRAP', reason, ...(insn === undefined ? {} : { insn }) });

describe.each(['jit', 'first-tier', 'interpreter', 'tiered'] as const)('%s', (engine) => {
  const run = (source: string, input: Uint8Array = new Uint8Array(16)) =>
    new Sandbox({ engine, memoryBytes: 64 }).load(assemble(source)).run({ input, budget: 10_000 });

  test('a program gets its input and its length, and changes it', () => {
    const { r0, output } = run(
      'r0 = *(u64 *)(r1 +0)\n*(u8 *)(r1 +1) = 9\nr0 += r2\nexit',
      Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 1),
    );
    expect(r0).toBe(0x0100_0000_0000_0009n);
    expect(output).toEqual(Uint8Array.of(1, 9, 0, 0, 0, 0, 0, 1));
  });

  test.each<[what: string, source: string, insn: number]>([
    ['NULL', 'r1 = 0\nr0 = *(u8 *)(r1 +0)\nexit', 1],
    ['a small offset from NULL', 'r1 = 0\nr0 = *(u64 *)(r1 +4096)\nexit', 1],
    ['a store to NULL', 'r1 = 0\n*(u64 *)(r1 +8) = 1\nr0 = 0\nexit', 1],
    ['before the memory', 'r0 = *(u8 *)(r1 -9)\nexit', 0],
    ['behind the stack', 'r0 = *(u8 *)(r10 +0)\nexit', 0],
    ['across the end of the stack', 'r0 = *(u64 *)(r10 -4)\nexit', 0],
    ['above 4 GiB', 'r3 = 0x100000000 ll\nr1 += r3\nr0 = *(u8 *)(r1 +0)\nexit', 3],
    ['just below 2 ** 64', 'r1 = -8\nr0 = *(u64 *)(r1 +0)\nexit', 1],
    ['around 2 ** 64', 'r1 = -8\nr0 = *(u64 *)(r1 +16)\nexit', 1],
    ['the host`s words below the memory', 'r1 -= 4096\n*(u64 *)(r1 +0) = -1\nr0 = 0\nexit', 1],
    ['an atomic at NULL', 'r1 = 0\nr0 = 1\nlock *(u64 *)(r1 +0) += r0\nexit', 2],
    ['the highest address of 32 bits', 'w1 = -1\nr0 = *(u8 *)(r1 +0)\nexit', 1],
  ])('%s traps', (_, source, insn) => {
    expect(() => run(source)).toThrow(trap('access', insn) as Error);
  });

  test('a run ends with its budget; the next one has its own', () => {
    const program = new Sandbox({ engine }).load(assemble('r0 = 7\nif r2 == 0x0 goto pc+1\ngoto pc-1\nexit'));
    expect(() => program.run({ input: Uint8Array.of(1), budget: 1000 })).toThrow(trap('fuel') as Error);
    expect(program.run({ budget: 1000 }).r0).toBe(7n);
  });

  test('a budget may be anything that is not negative', () => {
    const program = new Sandbox({ engine }).load(assemble('r0 = 7\nexit'));
    expect(() => program.run({ budget: -1 })).toThrow(RangeError);
    expect(() => program.run({ budget: 1 })).toThrow(trap('fuel') as Error);
    expect([program.run({ budget: 2.5 }).r0, program.run({ budget: Infinity }).r0]).toEqual([7n, 7n]);
  });

  test('callx of a number that no helper has traps, at its instruction', () => {
    const program = new Sandbox({ engine }).load([
      { code: 0xb7, dst_reg: 3, src_reg: 0, off: 0, imm: 99 },
      { code: 0x8d, dst_reg: 3, src_reg: 0, off: 0, imm: 0 },
      { code: 0x95, dst_reg: 0, src_reg: 0, off: 0, imm: 0 },
    ]);
    expect(() => program.run()).toThrow(trap('call', 1) as Error);
  });

  test('endless recursion traps', () => {
    expect(() => run('call pc-1\nexit')).toThrow(trap('call-depth') as Error);
  });

  test('helpers get and give 64 bits, and may look only at what the program may', () => {
    const sandbox: Sandbox = new Sandbox({
      engine,
      helpers: { 7: (address, length) => BigInt(sandbox.bytes(address, length).reduce((a, b) => a + b)) << 40n },
    });
    const sum = sandbox.load(assemble('call 7\nexit'));
    expect(sum.run({ input: Uint8Array.of(1, 2, 3) }).r0).toBe(6n << 40n);
    expect(() => sandbox.load(assemble('r1 = 0\ncall 7\nexit')).run()).toThrow(trap('access') as Error);
    expect(() => sandbox.load(assemble('r2 = -1\ncall 7\nexit')).run()).toThrow(trap('access') as Error);
  });

  test('what a helper throws comes out', () => {
    const sandbox = new Sandbox({
      engine,
      helpers: {
        1: () => {
          throw new TypeError('mine');
        },
      },
    });
    expect(() => sandbox.load(assemble('call 1\nexit')).run()).toThrow(TypeError);
  });

  test.each<[what: string, program: string | Uint8Array, error: object]>([
    ['an unknown helper', 'r0 = 0\ncall 9\nexit', { code: 'VM_ERROR', insn: 1 }],
    ['a map', 'r1 = map[fd:3]\nr0 = 0\nexit', { code: 'VM_ERROR', insn: 0 }],
    ['a wrong length', new Uint8Array(9), { code: 'length' }],
    ['no exit', 'r0 = 0', { code: 'exit', insn: 0 }],
    ['a jump into another function', 'call pc+2\nr0 = 1\nexit\ngoto pc-3', { code: 'jump', insn: 3, field: 'off' }],
    ['a function that runs into the next', 'r0 = 1\nr0 = 2\ncall pc-2\nexit', { code: 'exit', insn: 0 }],
    ['a packet load', 'r0 = 1\nexit\nr0 = *(u16 *)skb[2]\nexit', { code: 'VM_ERROR', insn: 2 }],
    [
      'the frame pointer as what an exchange gives',
      encode([
        { code: 0xdb, dst_reg: 1, src_reg: 10, off: 0, imm: 0xe1 },
        { code: 0x95, dst_reg: 0, src_reg: 0, off: 0, imm: 0 },
      ]),
      { code: 'register', insn: 0, field: 'src_reg' },
    ],
  ])('%s is refused when loaded', (_, program, error) => {
    const sandbox = new Sandbox({ engine });
    expect(() => sandbox.load(typeof program === 'string' ? assemble(program) : program)).toThrow(
      expect.objectContaining(error),
    );
  });

  test('memory is zero at the start of each run', () => {
    const program = new Sandbox({ engine }).load(
      encode(
        assemble('r0 = *(u64 *)(r1 +32)\n*(u64 *)(r1 +32) = 5\nr3 = *(u64 *)(r10 -8)\nr0 += r3\n*(u64 *)(r10 -8) = 5\nexit'),
      ),
    );
    expect([program.run().r0, program.run().r0]).toEqual([0n, 0n]);
  });
});

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const example = /```ts sandbox\n([^]*?)```/.exec(readme)![1]!;
const check = `${example}\nexport const result = [r0, seen];\n`;

test('the README`s example does what it says, bundled for a browser, without a module of Node', async () => {
  const entry = fileURLToPath(new URL('example.ts', import.meta.url));
  const output = await build({
    configFile: false,
    logLevel: 'silent',
    root: fileURLToPath(new URL('..', import.meta.url)),
    resolve: {
      conditions: ['source', 'browser', 'import', 'default'],
      alias: { '@libbpf-ts/vm': fileURLToPath(new URL('../src/index.ts', import.meta.url)) },
    },
    plugins: [
      {
        name: 'example',
        enforce: 'pre',
        resolveId: (id: string) => (id === entry ? id : undefined),
        load: (id: string) => (id === entry ? check : undefined),
      },
    ],
    build: { write: false, minify: false, target: 'es2022', lib: { entry, formats: ['es'], fileName: 'example' } },
  });
  const [bundle] = Array.isArray(output) ? output : [output];
  const { code, imports, dynamicImports } = (
    bundle as { output: { code: string; imports: string[]; dynamicImports: string[] }[] }
  ).output[0]!;
  expect([...imports, ...dynamicImports]).toEqual([]);
  expect(code).not.toMatch(/['"]node:|\brequire\(|\bprocess\.|\bBuffer\./);
  const module = (await import(`data:text/javascript;base64,${Buffer.from(code).toString('base64')}`)) as {
    result: [bigint, bigint[]];
  };
  expect(module.result).toEqual([42n, [21n]]);
});
