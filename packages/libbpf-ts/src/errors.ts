/** Errors of the user side: what the loader cannot read or resolve, and what a kernel refused. Recognise them by `code`. */

import { BPF_CMD_NAMES, ERRNO, errnoName, type ErrnoName } from '@libbpf-ts/uapi';

export type LoaderErrorCode =
  | 'LOADER_NO_PROGRAM'
  | 'LOADER_AMBIGUOUS_PROGRAM'
  | 'LOADER_NO_MAP'
  | 'LOADER_BAD_SECTION'
  | 'LOADER_BAD_PROGRAM'
  | 'LOADER_BAD_MAP'
  | 'LOADER_BAD_RELOCATION'
  | 'LOADER_BAD_LICENSE'
  | 'LOADER_BAD_BTF'
  | 'LOADER_UNKNOWN_SECTION'
  | 'LOADER_UNRESOLVED'
  | 'LOADER_CORE'
  | 'LOADER_NO_KERNEL_BTF'
  | 'LOADER_UNSUPPORTED'
  | 'LOADER_BAD_OPTION';

export interface LoaderPlace {
  readonly section?: string | undefined;
  readonly program?: string | undefined;
  readonly map?: string | undefined;
  readonly symbol?: string | undefined;
  /** Instruction of the program. */
  readonly insn?: number | undefined;
  /** Byte in the file. */
  readonly offset?: number | undefined;
}

/** An object that cannot be loaded as it is: one line that names the place, with the errno that libbpf would return. */
export class LoaderError extends Error {
  override readonly name = 'LoaderError';
  readonly code: LoaderErrorCode;
  /** Negative, as in {@link BpfError}. */
  readonly errno: number;
  readonly place: LoaderPlace;
  readonly hint: string | undefined;

  constructor(
    code: LoaderErrorCode,
    detail: string,
    place: LoaderPlace = {},
    options: { errno?: ErrnoName; hint?: string; cause?: unknown } = {},
  ) {
    super(`${detail}${placeText(place)}${options.hint === undefined ? '' : `; ${options.hint}`}`, { cause: options.cause });
    this.code = code;
    this.errno = -ERRNO[options.errno ?? 'EINVAL'];
    this.place = place;
    this.hint = options.hint;
  }
}

function placeText(place: LoaderPlace): string {
  const parts = [
    place.program === undefined ? '' : ` in program ${place.program}`,
    place.map === undefined ? '' : ` in map ${place.map}`,
    place.section === undefined ? '' : ` in section ${place.section}`,
    place.insn === undefined ? '' : ` at instruction ${place.insn}`,
    place.offset === undefined ? '' : ` at byte ${place.offset}`,
  ];
  return parts.join('');
}

/** Recognises a {@link LoaderError} by its shape, also one from another copy of this package. */
export function isLoaderError(error: unknown, code?: LoaderErrorCode): error is LoaderError {
  return error instanceof Error && error.name === 'LoaderError' && (code === undefined || (error as LoaderError).code === code);
}

export interface BpfErrorOptions {
  /** The attr field to blame, where it is known. */
  readonly arg?: string | undefined;
  readonly hint?: string | undefined;
}

/** What a kernel refused: `code` is the errno's name, `errno` negative as Node's system errors have it. */
export class BpfError extends Error {
  override readonly name: string = 'BpfError';
  readonly code: string;
  readonly errno: number;
  /** The command, for example `BPF_LINK_CREATE`. */
  readonly syscall: string;
  readonly arg: string | undefined;
  readonly hint: string | undefined;

  constructor(errno: number, syscall: string, detail: string, options: BpfErrorOptions = {}) {
    const code = errnoName(Math.abs(errno)) ?? `E${Math.abs(errno)}`;
    super(`${code}: ${syscall}${detail === '' ? '' : ` ${detail}`}${options.hint === undefined ? '' : `; ${options.hint}`}`);
    this.code = code;
    this.errno = -Math.abs(errno);
    this.syscall = syscall;
    this.arg = options.arg;
    this.hint = options.hint;
  }
}

/** Recognises a {@link BpfError} (or a {@link VerifierError}) by its shape; with a code, only that errno. */
export function isBpfError(error: unknown, code?: string): error is BpfError {
  if (!(error instanceof Error) || !('syscall' in error) || !('errno' in error)) return false;
  return code === undefined || (error as BpfError).code === code;
}

/** A line of the program's C source. */
export interface SourceLine {
  readonly fileName: string;
  readonly lineNumber: number;
  readonly column: number;
  readonly text: string;
}

/** One finding of a verifier. The in-process kernel gives them with every refusal; for other kernels they are read from the log. */
export interface VerifierDiagnostic {
  /** Stable, for example `null-deref`. */
  readonly code: string;
  readonly message: string;
  readonly insn?: number | undefined;
  readonly source?: SourceLine | undefined;
  /** The missing check in words. */
  readonly help?: string | undefined;
  /** The register to blame. */
  readonly register?: number | undefined;
  /** The instructions that led there. */
  readonly story?: readonly { readonly insn: number; readonly text: string }[] | undefined;
}

/** A program that the verifier refused. */
export class VerifierError extends BpfError {
  override readonly name: string = 'VerifierError';
  readonly program: string;
  /** The kernel's log. */
  readonly log: string;
  readonly diagnostics: readonly VerifierDiagnostic[];

  constructor(errno: number, program: string, log: string, diagnostics: readonly VerifierDiagnostic[]) {
    const last = lastLine(log);
    super(errno, 'BPF_PROG_LOAD', `program ${program} is refused${last === '' ? '' : `: ${last}`}`);
    this.program = program;
    this.log = log;
    this.diagnostics = diagnostics;
  }
}

/** Recognises a {@link VerifierError} by its shape. */
export function isVerifierError(error: unknown): error is VerifierError {
  return error instanceof Error && error.name === 'VerifierError' && typeof (error as VerifierError).log === 'string';
}

/** The last line of a log that says why: the statistics after it do not count. */
export function lastLine(log: string): string {
  const lines = log
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^(processed \d+ insns|verification time|stack depth|insns processed)/.test(line));
  return lines.at(-1) ?? '';
}

/** Name of a bpf(2) command. */
export const commandName = (cmd: number): string => BPF_CMD_NAMES.get(cmd) ?? `bpf(${cmd})`;
