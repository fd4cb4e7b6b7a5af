/** Everything public of `@libbpf-ts/isa`, spelt out. */

export type { BpfInsn } from './insn.ts';
export { decode, encode, imm64 } from './codec.ts';
export { IsaError } from './error.ts';
export type { IsaErrorCode } from './error.ts';
export {
  BPF_ABS, BPF_ADD, BPF_ALU, BPF_ALU64, BPF_AND, BPF_ARSH, BPF_ATOMIC, BPF_B, BPF_CALL, BPF_CMPXCHG, BPF_DIV, BPF_DW, BPF_END,
  BPF_EXIT, BPF_FETCH, BPF_H, BPF_IMM, BPF_IND, BPF_JA, BPF_JCOND, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JLE, BPF_JLT, BPF_JMP, BPF_JMP32,
  BPF_JNE, BPF_JSET, BPF_JSGE, BPF_JSGT, BPF_JSLE, BPF_JSLT, BPF_K, BPF_LD, BPF_LDX, BPF_LOAD_ACQ, BPF_LSH, BPF_MAX_INSNS,
  BPF_MAY_GOTO, BPF_MEM, BPF_MEMSX, BPF_MOD, BPF_MOV, BPF_MUL, BPF_NEG, BPF_OR, BPF_PSEUDO_BTF_ID, BPF_PSEUDO_CALL,
  BPF_PSEUDO_FUNC, BPF_PSEUDO_KFUNC_CALL, BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_IDX, BPF_PSEUDO_MAP_IDX_VALUE, BPF_PSEUDO_MAP_VALUE,
  BPF_REG_FP, BPF_RSH, BPF_ST, BPF_STORE_REL, BPF_STX, BPF_SUB, BPF_TO_BE, BPF_TO_LE, BPF_W, BPF_X, BPF_XCHG, BPF_XOR, MAX_BPF_REG,
} from './opcode.ts';
export { ALU, ATOMIC, END, JUMP, OPCODES, SIZE, opcodeOf } from './table.ts';
export type {
  AluOp, AtomicOp, EndOp, JumpOp, Opcode, OpcodeKind, OpcodeRow, OpcodeVariant, SizeBytes, Source,
} from './table.ts';
export { disassemble, disassembleProgram } from './disassemble.ts';
export type { DisassembleOptions } from './disassemble.ts';
export { assemble } from './assemble.ts';
export type { AssembleOptions } from './assemble.ts';
export { validate } from './validate.ts';
export type { ValidateOptions } from './validate.ts';
