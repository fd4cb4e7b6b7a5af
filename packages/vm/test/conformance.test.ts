/** The public bpf_conformance suite, where LIBBPF_TS_SHARED has it. */

import { readFileSync } from 'node:fs';

import { decode } from '@libbpf-ts/isa';
import { shared } from '@libbpf-ts/testkit';
import { describe, expect, test } from 'vitest';

import { VmRuntime } from '../src/runtime.ts';
import { engines, load, program } from './engines.ts';

interface Case {
  readonly name: string;
  readonly prog: string;
  readonly mem: string;
  readonly expected: string;
}

const file = shared('fixtures/isa/conformance.jsonl');
const cases: Case[] =
  'path' in file
    ? readFileSync(file.path, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Case)
    : [];
const bytesOf = (hex: string): Uint8Array => Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));

describe.each(engines)('%s', (engine) => {
  test('passes the suite', (context) => {
    if ('reason' in file) context.skip(file.reason);
    const failures: string[] = [];
    for (const { name, prog, mem, expected } of cases) {
      const runtime = new VmRuntime();
      try {
        const bytes = bytesOf(mem);
        const address = bytes.length === 0 ? 0 : runtime.arena.allocate(bytes.length);
        runtime.arena.u8.set(bytes, address);
        // The suite passes the length in r2, which no program of a kernel has: set it by an instruction of our own.
        const insns = [{ code: 0xb7, dst_reg: 2, src_reg: 0, off: 0, imm: bytes.length }, ...decode(bytesOf(prog))];
        const unwind = {
          name: 'unwind',
          args: ['u64'] as const,
          returns: 'u64' as const,
          run: (low: number, high: number) => ((runtime.returnHigh.value = high), low),
        };
        const { loaded } = load(engine, program(insns, { 5: unwind }), {}, runtime);
        const result = loaded.run64(address);
        if (result !== BigInt(expected)) failures.push(`${name}: ${result.toString(16)} is not ${expected}`);
      } catch (error) {
        failures.push(`${name}: ${(error as Error).stack}`);
      }
    }
    expect(failures).toEqual([]);
    expect(cases.length).toBeGreaterThan(300);
  });
});
