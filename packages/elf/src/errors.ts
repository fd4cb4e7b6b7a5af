/** What is wrong with an ELF file, and where. */

export type ElfErrorCode =
  | 'ELF_NOT_ELF'
  | 'ELF_TRUNCATED'
  | 'ELF_BAD_CLASS'
  | 'ELF_BAD_ENDIAN'
  | 'ELF_BAD_MACHINE'
  | 'ELF_BAD_TYPE'
  | 'ELF_BAD_HEADER'
  | 'ELF_BAD_SECTION'
  | 'ELF_BAD_STRING';

/** Thrown for files that are no readable eBPF object. Recognise it by `code`. */
export class ElfError extends Error {
  override readonly name = 'ElfError';
  readonly code: ElfErrorCode;
  /** Byte offset in the file, where one is to blame. */
  readonly offset: number | undefined;
  /** Section name or number, where one is to blame. */
  readonly section: string | undefined;

  constructor(code: ElfErrorCode, detail: string, where: { offset?: number; section?: string } = {}) {
    super(
      `${detail}${where.section === undefined ? '' : ` in section ${where.section}`}${where.offset === undefined ? '' : ` at byte ${where.offset}`}`,
    );
    this.code = code;
    this.offset = where.offset;
    this.section = where.section;
  }
}

/** Recognises an {@link ElfError} by its shape, also one from another copy of this package. */
export function isElfError(error: unknown): error is ElfError {
  return error instanceof Error && error.name === 'ElfError' && typeof (error as ElfError).code === 'string';
}
