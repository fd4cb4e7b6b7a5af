/**
 * A plug-in for the public bpf_conformance runner: memory as spaced hex in the first argument (if there is any), the program as spaced
 * hex on standard input; prints r0 in hex. `--engine jit|first-tier|interpreter|tiered` chooses who runs it.
 */

import { readFileSync } from 'node:fs';
import process from 'node:process';

import { decode, IsaError, validate } from '@libbpf-ts/isa';
import type { BpfInsn } from '@libbpf-ts/isa';
import { defaultEngines, isVmTrap, subprogramsOf, VmError, VmRuntime } from '@libbpf-ts/vm';
import type { CallTarget, VmHelper } from '@libbpf-ts/vm';

/** Instructions that any of the suite's programs may run; none comes near. */
const BUDGET = 100_000_000;

class UsageError extends Error {}

try {
  const { engine, memory } = readArguments(process.argv.slice(2));
  const program = bytesOf(readFileSync(0, 'utf8'));
  process.stdout.write(`${run(engine, memory, decode(program)).toString(16)}\n`);
} catch (error) {
  if (!(error instanceof IsaError || error instanceof VmError || error instanceof UsageError || isVmTrap(error))) throw error;
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}

/** r0 of the program with r1 = address of the memory (0 where there is none), r2 = its length. */
function run(engine: string, memory: Uint8Array, insns: readonly BpfInsn[]): bigint {
  validate(insns, { unverified: true });
  const runtime = new VmRuntime();
  const address = memory.length === 0 ? 0 : runtime.arena.allocate(memory.length);
  runtime.arena.u8.set(memory, address);
  // The length comes by an instruction of our own: a program's entry has one argument.
  const withLength = [{ code: 0xb7, dst_reg: 2, src_reg: 0, off: 0, imm: memory.length }, ...insns];
  const helpers = new Map([[5, unwind(runtime)]]);
  const calls = new Map<number, CallTarget>();
  withLength.forEach((insn, index) => {
    const helper = insn.code === 0x85 && insn.src_reg === 0 ? helpers.get(insn.imm) : undefined;
    if (helper) calls.set(index, { helper });
  });
  const fixups = { constants: new Map(), functions: new Map(), calls, helpersById: helpers };
  const loaded = runtime.load(
    { name: 'conformance', insns: withLength, subprograms: subprogramsOf(withLength), fixups },
    { engine, fuel: true },
  );
  runtime.fuel = BUDGET;
  return loaded.run64(address);
}

/** The suite's helper 5: its argument comes back; -1 would end the program in runtimes that unwind. */
function unwind(runtime: VmRuntime): VmHelper {
  return {
    name: 'unwind',
    args: ['u64'],
    returns: 'u64',
    run(low, high) {
      runtime.returnHigh.value = high!;
      return low!;
    },
  };
}

function readArguments(words: readonly string[]): { engine: string; memory: Uint8Array } {
  let engine = 'jit';
  let memory: Uint8Array = new Uint8Array(0);
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    if (word === '--engine' || word.startsWith('--engine=')) {
      engine = word === '--engine' ? (words[++index] ?? '') : word.slice(9);
      const names = defaultEngines.map(({ name }) => name);
      if (!names.includes(engine)) throw new UsageError(`there is no engine '${engine}': ${names.join(', ')}`);
    } else if (word.startsWith('--')) continue; // The runner passes options of its own, such as --elf, which change nothing here.
    else memory = bytesOf(word);
  }
  return { engine, memory };
}

function bytesOf(text: string): Uint8Array {
  const hex = text.replaceAll(/\s+/g, '');
  if (!/^(?:[0-9a-f]{2})*$/i.test(hex)) throw new UsageError('hex digits in pairs are expected');
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}
