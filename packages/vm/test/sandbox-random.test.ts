/** Random instructions in a sandbox: whatever they are, an engine refuses them with a typed error or runs them as the others do. */

import { OPCODES } from '@libbpf-ts/isa';
import type { BpfInsn, OpcodeVariant } from '@libbpf-ts/isa';
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { Sandbox } from '../src/sandbox.ts';

const ENGINES = ['jit', 'first-tier', 'interpreter', 'tiered'] as const;
const variants = OPCODES.flatMap((row) => row?.variants.map((variant) => ({ code: row.code, variant })) ?? []);
const edges = [0, 1, -1, 2, 8, 16, 32, 63, 64, -8, -16, -512, -520, 4096, 65_536, 0x7fff_ffff, -0x8000_0000];

const anyInsn = fc.record({
  row: fc.constantFrom(...variants),
  dst_reg: fc.constantFrom(0, 1, 2, 3, 4, 6, 9, 10),
  src_reg: fc.constantFrom(0, 1, 2, 5, 7, 8, 10, 11),
  off: fc.constantFrom(0, 1, 2, -1, -2, -3, 5, 8, -8, -16, 60, 64, -512, -513, 32_767, -32_768),
  imm: fc.constantFrom(...edges),
  /** Whether what the instruction does not use is 0, as it must be. */
  tidy: fc.integer({ min: 0, max: 30 }),
});

/** Mostly a well-formed instruction. */
function insnOf({ row, tidy, ...fields }: typeof anyInsn extends fc.Arbitrary<infer T> ? T : never): BpfInsn[] {
  const insn: Writable = { code: row.code, ...fields };
  if (tidy > 0) clean(insn, row.variant);
  if (row.variant.field !== 'none') (insn as Record<string, number>)[row.variant.field] = row.variant.value;
  if (row.variant.opcode.kind !== 'ld_imm64') return [insn];
  return [insn, { code: 0, dst_reg: 0, src_reg: 0, off: 0, imm: fields.imm }];
}

type Writable = { -readonly [Field in keyof BpfInsn]: BpfInsn[Field] };

function clean(insn: Writable, { opcode }: OpcodeVariant): void {
  const { kind } = opcode;
  const immediate = 'source' in opcode && opcode.source === 'k' && !(kind === 'alu' && opcode.op === 'neg');
  if (kind === 'exit' || kind === 'goto' || kind === 'may_goto' || kind === 'call') insn.dst_reg = insn.src_reg = 0;
  if (immediate || kind === 'ld_imm64' || kind === 'end' || (kind === 'alu' && opcode.op === 'neg')) insn.src_reg = 0;
  if (!immediate && kind !== 'ld_imm64' && kind !== 'end' && kind !== 'call') insn.imm = 0;
  if (kind === 'alu' || kind === 'end' || kind === 'exit' || kind === 'call' || kind === 'ld_imm64') insn.off = 0;
  if (kind === 'call') insn.imm = opcode.target === 'register' ? 0 : 1;
  if (kind === 'goto' && opcode.far) [insn.imm, insn.off] = [insn.off, 0];
  if (insn.dst_reg === 10 && (kind === 'alu' || kind === 'end' || kind === 'load' || kind === 'ld_imm64')) insn.dst_reg = 2;
}

const programs = fc
  .array(anyInsn, { minLength: 1, maxLength: 25 })
  .map((rows) => [...rows.flatMap(insnOf), { code: 0x95, dst_reg: 0, src_reg: 0, off: 0, imm: 0 }]);

test('engines refuse, trap and compute alike, and nothing but typed errors comes out', () => {
  const helpers = { 1: (a: bigint, b: bigint): bigint => a ^ b };
  const sandboxes = ENGINES.map((engine) => new Sandbox({ engine, memoryBytes: 64, helpers }));
  const input = Uint8Array.from({ length: 64 }, (_, index) => index * 37);
  const outcome = (sandbox: Sandbox, insns: readonly BpfInsn[]): string => {
    try {
      const program = sandbox.load(insns);
      try {
        const { r0, output } = program.run({ input, budget: 2000 });
        return `${r0} ${output.join()}`;
      } finally {
        program.unload();
      }
    } catch (error) {
      const { name, code, reason, insn, field } = error as Record<string, unknown>;
      // What the JIT can't tell: where it was when the budget ended, or a call went too deep.
      const place = reason === 'fuel' || reason === 'call-depth' ? '' : `${insn as number}`;
      if (name === 'IsaError') return `${code as string} ${place} ${field as string}`;
      if (code === 'VM_ERROR' || code === 'VM_TRAP') return `${reason as string} ${place}`;
      throw error;
    }
  };
  const seen = new Set<string>();
  fc.assert(
    fc.property(programs, (insns) => {
      const results = sandboxes.map((sandbox) => outcome(sandbox, insns));
      seen.add(results[0]!.split(' ')[0]!);
      expect(results).toEqual(results.map(() => results[0]));
    }),
    { numRuns: 1500, seed: 1 },
  );
  for (const kind of ['access', 'fuel', 'call', 'jump', 'register', 'reserved']) expect(seen).toContain(kind);
});
