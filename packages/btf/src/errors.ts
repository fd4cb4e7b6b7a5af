/** What is wrong with BTF bytes, and where. */

export type BtfErrorCode =
  | 'BTF_NOT_BTF'
  | 'BTF_TRUNCATED'
  | 'BTF_BAD_HEADER'
  | 'BTF_BAD_KIND'
  | 'BTF_BAD_TYPE_ID'
  | 'BTF_BAD_NAME'
  | 'BTF_LOOP'
  | 'BTF_TOO_LARGE'
  | 'BTF_NO_SIZE'
  | 'BTF_BAD_VALUE'
  | 'BTF_EXT_BAD_RECORD'
  | 'CORE_BAD_SPEC'
  | 'CORE_AMBIGUOUS'
  | 'CORE_UNEXPECTED_INSN';

/** Thrown for BTF that cannot be read or for a question that a type has no answer to. Recognise it by `code`. */
export class BtfError extends Error {
  override readonly name = 'BtfError';
  readonly code: BtfErrorCode;
  /** Byte offset inside the BTF (or .BTF.ext) data, where one is to blame. */
  readonly offset: number | undefined;
  /** Type id, where one is to blame. */
  readonly type_id: number | undefined;

  constructor(code: BtfErrorCode, detail: string, where: { offset?: number; type_id?: number } = {}) {
    super(
      `${detail}${where.type_id === undefined ? '' : ` (type ${where.type_id})`}${where.offset === undefined ? '' : ` at byte ${where.offset}`}`,
    );
    this.code = code;
    this.offset = where.offset;
    this.type_id = where.type_id;
  }
}

/** Recognises a {@link BtfError} by its shape, also one from another copy of this package. */
export function isBtfError(error: unknown): error is BtfError {
  return error instanceof Error && error.name === 'BtfError' && typeof (error as BtfError).code === 'string';
}
