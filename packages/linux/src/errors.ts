/** Why the real kernel cannot be used here, with what to do about it. */

export type LinuxUnavailableCode = 'not-linux' | 'no-koffi' | 'no-permission' | 'no-bpf';

/** Thrown by `linuxKernel()` where bpf(2) cannot be reached. */
export class LinuxUnavailableError extends Error {
  override readonly name = 'LinuxUnavailableError';
  readonly code: LinuxUnavailableCode;
  /** What would make it work. */
  readonly remedy: string;

  constructor(code: LinuxUnavailableCode, detail: string, remedy: string) {
    super(`${detail}; ${remedy}`);
    this.code = code;
    this.remedy = remedy;
  }
}

/** Recognises a {@link LinuxUnavailableError} by its shape. */
export function isLinuxUnavailable(error: unknown): error is LinuxUnavailableError {
  return (
    error instanceof Error &&
    error.name === 'LinuxUnavailableError' &&
    typeof (error as LinuxUnavailableError).remedy === 'string'
  );
}
