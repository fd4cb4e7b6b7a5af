/** What ends a command: one line on stderr, and the exit code. */

/** A refusal told in one line. Exit code 2 for a command line that makes no sense, 1 for everything else. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly exitCode: 1 | 2;

  constructor(message: string, exitCode: 1 | 2 = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** A command line that makes no sense: what is wrong with it, and where the grammar is told. */
export function usage(message: string): Failure {
  return new Failure(`${message} (bpftool-ts help shows the grammar)`, 2);
}

interface SystemError {
  readonly code: string;
}

const isSystemError = (error: unknown): error is Error & SystemError =>
  error instanceof Error && typeof (error as Partial<SystemError>).code === 'string' && 'syscall' in error;

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'this user may not read it',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of the path is not a directory',
  EPERM: 'this user may not',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  ENAMETOOLONG: 'the name is too long',
};

/** What went wrong with a file, in words. */
export function fileFailure(what: string, path: string, error: unknown): Failure {
  const reason = isSystemError(error)
    ? (REASONS[error.code] ?? error.code)
    : error instanceof Error
      ? error.message
      : String(error);
  return new Failure(`${path}: cannot ${what}: ${reason}`);
}

/** One line for any error: typed ones in their own words, anything else as the bug that it is. */
export function oneLine(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const line = error.message.split('\n')[0]!;
  return error.name === 'Error' || error.name === 'TypeError' || error.name === 'RangeError'
    ? `internal error, please report it: ${line}`
    : line;
}
