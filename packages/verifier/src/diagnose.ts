/** Makes a diagnostic of a refusal: the code and the cure that belong to what was logged. */

import type { Diagnostic } from './diagnostics.ts';
import type { Env } from './env.ts';
import { sourceOf, storyOf } from './story.ts';

/** What a logged line means. First match wins. */
const RULES: readonly (readonly [pattern: RegExp, code: string, help: string])[] = [
  [/not supported by this verifier/, 'unsupported', 'This verifier cannot judge it yet, so it refuses.'],
  [/invalid mem access '.*_or_null'/, 'null-deref', 'Compare the pointer to NULL before it is used.'],
  [
    /offset is outside of the packet/,
    'packet-out-of-bounds',
    'Compare the pointer plus the bytes to be read to data_end first.',
  ],
  [/invalid bpf_context access/, 'ctx-access', 'The context has no field of that offset and size for this program type.'],
  [/!read_ok/, 'uninitialised-register', 'Write the register on every path before it is read.'],
  [/invalid read from stack/, 'uninitialised-stack', 'Initialise these bytes of the stack before they are read.'],
  [
    /invalid( variable-offset)? (write to|read from) stack|invalid unbounded variable-offset/,
    'stack-out-of-bounds',
    'The stack has 512 bytes below the frame pointer.',
  ],
  [
    /invalid access to map value|allowed memory range/,
    'map-value-out-of-bounds',
    'Bound the offset so that the access ends inside the value.',
  ],
  [
    /unbounded memory access|min value is negative/,
    'unbounded-access',
    'Bound the variable from below and above before it is used as an offset or size.',
  ],
  [
    /pointer arithmetic|32-bit pointer|bitwise operator|makes .* pointer be out of bounds|math between/,
    'pointer-arithmetic',
    'Only bounded additions and subtractions are allowed on this pointer.',
  ],
  [/program of this type cannot use helper/, 'helper-not-allowed', 'This program type may not call the helper.'],
  [/GPL-restricted/, 'gpl-only', 'Declare a GPL-compatible license.'],
  [/type=.* expected=/, 'argument-type', 'Pass the kind of pointer that the helper takes.'],
  [/Unreleased reference/, 'reference-leak', 'Release what was acquired on every path.'],
  [/infinite loop detected/, 'infinite-loop', 'Make the loop change something that ends it.'],
  [/^the budget of /, 'budget', 'Allow more, or verify in steps.'],
  [/BPF program is too large|too complex/, 'too-complex', 'Shorten loops or split the program.'],
  [/should have been in|is not a known value/, 'return-code', 'Return a value that this program type may return.'],
  [/unreachable insn/, 'unreachable', 'Remove the code that nothing reaches.'],
  [/jump out of range|last insn is not/, 'control-flow', 'Every path must end in exit, inside its own function.'],
  [/combined stack size|call stack/, 'stack-depth', 'Use less stack in the functions that call one another.'],
  [
    /pointer [-+*/%&|^<>s]*= pointer|subtract(ion)? (pointer )?from/,
    'pointer-arithmetic',
    'Only bounded additions and subtractions are allowed on this pointer.',
  ],
  [/invalid shift/, 'bad-shift', 'Shift by less than the width of the register.'],
  [/div by zero/, 'division-by-zero', 'Divide by something else than the constant 0.'],
  [/frame pointer is read only/, 'frame-pointer', 'Use another register; r10 always is the frame pointer.'],
  [/misaligned/, 'misaligned', 'Access it at a multiple of the size.'],
  [
    /invalid size of register (fill|spill)|corrupt spilled pointer|spill pointers to stack/,
    'spill-size',
    'Pointers are spilled and filled whole, eight bytes at a multiple of eight.',
  ],
  [/BPF_ATOMIC|atomic operand/, 'atomic', 'Atomics work on four or eight aligned bytes of stack, map values and memory.'],
  [
    /write into map forbidden|read from map forbidden|cannot write into|only read/,
    'read-only',
    'This memory may not be accessed that way.',
  ],
  [
    /access to the packet is not allowed|cannot write into packet/,
    'packet-access',
    'This program type (or helper) may not access packets directly.',
  ],
  [/zero-sized read/, 'zero-size', 'Make sure that the size is at least 1.'],
  [/cannot pass map_type|expected prog array/, 'map-type', 'This helper does not take maps of this type.'],
  [
    /accessed directly by load\/store|access misaligned expected/,
    'managed-field',
    'The kernel manages this field; use its helpers.',
  ],
  [
    /direct value|map value pointer|not pointing to valid bpf_map|number of maps/,
    'map-reference',
    'Name an array map with one element, and a place inside its value.',
  ],
  [
    /dereference of modified|negative offset|variable .* access var_off/,
    'modified-pointer',
    'Use the pointer as it was given, with a constant offset in the instruction.',
  ],
  [/BPF_LD_\[ABS|LD_ABS/, 'ld-abs', 'Old packet loads need the context in r6 and a program type that has packets.'],
  [
    /invalid func|unknown opcode|reserved fields|invalid BPF|bpf_ld_imm64|invalid destination/,
    'bad-instruction',
    'The instruction is not one of the instruction set.',
  ],
  [
    /readonly map|constant address|zero-terminated|format string/i,
    'format-string',
    'Keep the string in .rodata, ended by a NUL.',
  ],
  [/sleep/, 'sleepable', 'Load the program as sleepable, or do not sleep here.'],
  [
    /spin_lock|bpf_rcu_read_lock|preempt|irq|holding a lock/,
    'locked-region',
    'End the region on every path, and stay within what it allows.',
  ],
  [/bpf_timer|bpf_wq/, 'timer', 'Timers lie in map values, at their own offset.'],
  [/callback/, 'callback', 'Callbacks are static functions that return what their caller expects.'],
  [/dynptr/i, 'dynptr', 'Make the dynptr first, use it where it is, and do not write over it.'],
  [/iter/, 'iterator', 'Make the iterator, take elements until NULL, destroy it.'],
  [/acquired|referenced|ref_obj_id/, 'reference', 'Pass the pointer that was acquired, unmoved, and once.'],
  [
    /leaks addr|pointer comparison prohibited|prohibited for !root|partial copy of pointer|leaking pointer/,
    'unprivileged-pointer',
    'Without CAP_PERFMON addresses must not become numbers.',
  ],
  [/func#|[Gg]lobal function|func_info|subprog/, 'function', 'Pass what the prototype in BTF says.'],
  [/kernel function|kfunc/, 'kfunc', 'This program may not call the kernel function like that.'],
  [/same insn cannot be used/, 'mixed-pointers', 'Use one kind of pointer at one instruction.'],
  [/cannot return stack pointer|not a scalar/, 'return-code', 'Return a number.'],
  [/bitwise|prohibited/, 'prohibited', 'This operation is not allowed on this register.'],
  [
    /access beyond|doesn't have field|access ptr member|invalid .* access off|buffer access/,
    'field-access',
    'Read a field whole, at its place in the type.',
  ],
  [
    /tracing progs|socket filter progs|cannot be used in prog|Sleepable programs can only/,
    'map-not-allowed',
    'Programs of this type cannot use such a map.',
  ],
  [/invalid mem access/, 'bad-pointer', 'The register does not hold a pointer that can be dereferenced here.'],
];

export function diagnose(env: Env, message: string): Diagnostic {
  const text = [...env.log.reasons].reverse().find((line) => RULES.some(([pattern]) => pattern.test(line))) ?? message;
  const rule = RULES.find(([pattern]) => pattern.test(text));
  const insn = env.insnProcessed > 0 ? env.insnIdx : -1;
  const register = /R(\d+)/.exec(text)?.[1];
  const source = insn >= 0 ? sourceOf(env, insn) : undefined;
  return {
    code: rule?.[1] ?? 'refused',
    insn,
    message: message || (env.log.reasons.at(-1) ?? ''),
    story: insn >= 0 && register !== undefined ? safeStory(env, Number(register)) : [],
    help: rule?.[2] ?? '',
    ...(register !== undefined && { register: Number(register) }),
    ...(source && { source }),
  };
}

/** A story is a courtesy: it must never hide the refusal itself. */
function safeStory(env: Env, register: number): Diagnostic['story'] {
  if (register > 10) return [];
  try {
    return storyOf(env, register);
  } catch {
    return [];
  }
}
