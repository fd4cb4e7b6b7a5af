/** What is wrong with bytes, text or instructions. Recognised by `code`. */

/** `text` is the assembler's; the others come from `decode`, `encode` and `validate`. */
export type IsaErrorCode =
  | 'length'
  | 'empty'
  | 'too-long'
  | 'opcode'
  | 'register'
  | 'reserved'
  | 'immediate'
  | 'jump'
  | 'ld_imm64'
  | 'exit'
  | 'text';

/** `insn` is the instruction number (for `text` the line number, from 1), `field` the field of `struct bpf_insn` that is at fault. */
export class IsaError extends Error {
  override readonly name = 'IsaError';
  readonly code: IsaErrorCode;
  readonly insn: number | undefined;
  readonly field: string | undefined;

  constructor(code: IsaErrorCode, detail: string, insn?: number, field?: string) {
    super(insn === undefined || code === 'text' ? detail : `insn ${insn}: ${detail}`);
    this.code = code;
    this.insn = insn;
    this.field = field;
  }
}
