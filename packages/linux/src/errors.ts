/** Why the real kernel cannot be used here, with what to do about it. */

import { ERRNO } from '@libbpf-ts/uapi';

export type LinuxUnavailableCode = 'not-linux' | 'no-koffi' | 'no-permission' | 'no-bpf';

/** Thrown by `linuxKernel()` where bpf(2) cannot be reached, and by what makes namespaces and mounts where that is refused. */
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

/** What to throw where a system call failed: EPERM is {@link LinuxUnavailableError} with the capability that is missing. */
export function callFailed(call: string, result: number, capability: string): Error {
  if (result !== -ERRNO.EPERM) return new Error(`${call} failed with errno ${-result}`);
  return new LinuxUnavailableError('no-permission', `${call} is refused with EPERM`, `run as root or with ${capability}`);
}

/** Recognises a {@link LinuxUnavailableError} by its shape. */
export function isLinuxUnavailable(error: unknown): error is LinuxUnavailableError {
  return (
    error instanceof Error &&
    error.name === 'LinuxUnavailableError' &&
    typeof (error as LinuxUnavailableError).remedy === 'string'
  );
}
