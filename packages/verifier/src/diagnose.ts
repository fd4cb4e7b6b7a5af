/** Makes a diagnostic of a refusal: the code and the cure that belong to what was logged. */

import type { Diagnostic, SourceLine } from './diagnostics.ts';
import type { Env } from './env.ts';

/** What a logged line means. First match wins. */
const RULES: readonly (readonly [pattern: RegExp, code: string, help: string])[] = [
  [/not supported by this verifier/, 'unsupported', 'This verifier cannot judge it yet, so it refuses.'],
  [/invalid mem access '.*_or_null'/, 'null-deref', 'Compare the pointer to NULL before it is used.'],
  [/offset is outside of the packet/, 'packet-out-of-bounds', 'Compare the pointer plus the bytes to be read to data_end first.'],
  [/invalid bpf_context access/, 'ctx-access', 'The context has no field of that offset and size for this program type.'],
  [/!read_ok/, 'uninitialised-register', 'Write the register on every path before it is read.'],
  [/invalid read from stack/, 'uninitialised-stack', 'Initialise these bytes of the stack before they are read.'],
  [/invalid( variable-offset)? (write to|read from) stack|invalid unbounded variable-offset/, 'stack-out-of-bounds', 'The stack has 512 bytes below the frame pointer.'],
  [/invalid access to map value|allowed memory range/, 'map-value-out-of-bounds', 'Bound the offset so that the access ends inside the value.'],
  [/unbounded memory access|min value is negative/, 'unbounded-access', 'Bound the variable from below and above before it is used as an offset or size.'],
  [/pointer arithmetic|32-bit pointer|bitwise operator|makes .* pointer be out of bounds|math between/, 'pointer-arithmetic', 'Only bounded additions and subtractions are allowed on this pointer.'],
  [/program of this type cannot use helper/, 'helper-not-allowed', 'This program type may not call the helper.'],
  [/GPL-restricted/, 'gpl-only', 'Declare a GPL-compatible license.'],
  [/type=.* expected=/, 'argument-type', 'Pass the kind of pointer that the helper takes.'],
  [/Unreleased reference/, 'reference-leak', 'Release what was acquired on every path.'],
  [/infinite loop detected/, 'infinite-loop', 'Make the loop change something that ends it.'],
  [/BPF program is too large|too complex/, 'too-complex', 'Shorten loops or split the program.'],
  [/should have been in|is not a known value/, 'return-code', 'Return a value that this program type may return.'],
  [/unreachable insn/, 'unreachable', 'Remove the code that nothing reaches.'],
  [/jump out of range|last insn is not/, 'control-flow', 'Every path must end in exit, inside its own function.'],
  [/combined stack size|call stack/, 'stack-depth', 'Use less stack in the functions that call one another.'],
  [/invalid mem access/, 'bad-pointer', 'The register does not hold a pointer that can be dereferenced here.'],
];

export function diagnose(env: Env, message: string): Diagnostic {
  const text = [...env.log.reasons].reverse().find((line) => RULES.some(([pattern]) => pattern.test(line))) ?? message;
  const rule = RULES.find(([pattern]) => pattern.test(text));
  const insn = env.insnProcessed > 0 ? env.insnIdx : -1;
  const register = /R(\d+)/.exec(text)?.[1];
  const source = insn >= 0 ? sourceOf(env, insn) : undefined;
  return {
    code: rule?.[1] ?? 'refused', insn, message: message || (env.log.reasons.at(-1) ?? ''), story: [], help: rule?.[2] ?? '',
    ...(register !== undefined && { register: Number(register) }),
    ...(source && { source }),
  };
}

function sourceOf(env: Env, insn: number): SourceLine | undefined {
  const row = env.lineOf(insn);
  return row && { fileName: row.fileName, lineNumber: row.lineNumber, column: row.column, text: row.line };
}
