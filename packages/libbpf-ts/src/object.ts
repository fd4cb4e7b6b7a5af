/** An object with everything that it holds in a kernel. */

import { isBtfError } from '@libbpf-ts/btf';
import { ERRNO, errnoName, type Syscalls } from '@libbpf-ts/uapi';
import { isLoaderError, isVerifierError, lastLine, LoaderError, type BpfError } from './errors.ts';
import { isRefusal, Loading, type LoadOptions } from './load.ts';
import type { BpfMap } from './map.ts';
import { parseObject } from './parse.ts';
import { programTypeName, type Program } from './program.ts';
import type { ObjectSpec, ProgramSpec } from './spec.ts';
import type { StructOps } from './struct-ops-map.ts';

/** A loaded object: programs and maps by name. Closing it closes them all, and the links that its programs made. */
export class BpfObject implements Disposable {
  readonly spec: ObjectSpec;
  readonly #loading: Loading;

  constructor(loading: Loading) {
    this.spec = loading.spec;
    this.#loading = loading;
  }

  get programs(): Readonly<Record<string, Program>> {
    return Object.fromEntries(this.#loading.programs);
  }

  get maps(): Readonly<Record<string, BpfMap>> {
    return Object.fromEntries(this.#loading.maps);
  }

  /** A program by name; without a name, the only one there is. */
  program(name?: string): Program {
    const loaded = this.#loading.programs;
    const found = name === undefined ? (loaded.size === 1 ? [...loaded.values()][0] : undefined) : loaded.get(name);
    if (found) return found;
    throw choiceError([...loaded.keys()], name, 'loaded program');
  }

  /** A map by name. */
  map(name: string): BpfMap {
    const found = this.#loading.maps.get(name);
    if (found) return found;
    throw new LoaderError(
      'LOADER_NO_MAP',
      `there is no map '${name}'; there are: ${[...this.#loading.maps.keys()].join(', ')}`,
      { map: name },
      { errno: 'ENOENT' },
    );
  }

  /** The table of functions of a `.struct_ops` variable, to be registered or attached. */
  structOps(name: string): StructOps {
    return this.#loading.structOps(name);
  }

  close(): void {
    this.#loading.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Loads an object into a kernel: maps, then programs. Nothing stays behind when one is refused. Throws `LoaderError`, `BpfError` or
 * `VerifierError`, the last with the kernel's log.
 */
export function load(sys: Syscalls, object: ObjectSpec | Uint8Array, options: LoadOptions = {}): BpfObject {
  const spec = object instanceof Uint8Array ? parseObject(object) : object;
  const loading = new Loading(sys, spec, options);
  try {
    if (!options.programs) spec.maps.forEach((map) => loading.map(map.name));
    const wanted =
      options.programs?.map((name) => selectProgram(spec, name)) ?? spec.programs.filter((program) => program.autoload);
    wanted.forEach((program) => loading.program(program));
    loading.fillProgramSlots();
    return new BpfObject(loading);
  } catch (error) {
    loading.close();
    throw error;
  }
}

/** Picks a program by function name or by section, or the only one (of those that `accept` takes) where no name is given. */
export function selectProgram(
  spec: ObjectSpec,
  name?: string,
  accept: (program: ProgramSpec) => boolean = () => true,
): ProgramSpec {
  const candidates =
    name === undefined
      ? spec.programs.filter(accept)
      : [
          ...spec.programs.filter((program) => program.name === name),
          ...spec.programs.filter((program) => program.section === name),
        ];
  const exact = name === undefined ? undefined : spec.programs.find((program) => program.name === name);
  if (exact) return exact;
  if (candidates.length === 1) return candidates[0]!;
  throw choiceError(
    (candidates.length > 1 ? candidates : spec.programs).map((program) => program.name),
    name,
    'program',
    candidates.length > 1,
  );
}

function choiceError(
  names: readonly string[],
  name: string | undefined,
  what: string,
  ambiguous = names.length > 1 && name === undefined,
): LoaderError {
  const list = names.length === 0 ? 'there is none' : `there are: ${names.join(', ')}`;
  if (ambiguous)
    return new LoaderError(
      'LOADER_AMBIGUOUS_PROGRAM',
      `there are ${names.length} candidates${name === undefined ? '' : ` for '${name}'`}: ${names.join(', ')}`,
      {},
      { hint: 'name one' },
    );
  return new LoaderError(
    'LOADER_NO_PROGRAM',
    `there is no ${what}${name === undefined ? '' : ` '${name}'`}; ${list}`,
    {},
    { errno: 'ENOENT' },
  );
}

/** What became of one program. */
export interface ProgramResult {
  readonly section: string;
  readonly name: string;
  /** `sched_cls`, `xdp`, … */
  readonly type: string;
  readonly verdict: 'accept' | 'reject';
  /** 0, or the positive error number. */
  readonly errno: number;
  /** Name of the errno; empty for `accept`. */
  readonly errno_name: string;
  /** The kernel's log, or the loader's one line. */
  readonly log: string;
  /** The line of the log that says why. */
  readonly log_tail: string;
  /** Whether the object itself could not be loaded, before any verifier saw the program. */
  readonly loader: boolean;
  /** Instructions with subprograms, as given to the kernel. */
  readonly insn_cnt: number;
  /** Instructions that the verifier processed; 0 where it did not come to that. */
  readonly verified_insns: number;
  readonly error: Error | undefined;
}

/** Loads each program by itself, with the maps that it needs, and tells what became of it. Everything is closed again. */
export function loadEach(
  sys: Syscalls,
  object: ObjectSpec | Uint8Array,
  options: LoadOptions = {},
  onResult?: (result: ProgramResult) => void,
): ProgramResult[] {
  const spec = object instanceof Uint8Array ? parseObject(object) : object;
  using loading = new Loading(sys, spec, options);
  const wanted = options.programs?.map((name) => selectProgram(spec, name)) ?? spec.programs;
  return wanted.map((program) => {
    const result = resultOf(loading, program);
    onResult?.(result);
    return result;
  });
}

function resultOf(loading: Loading, program: ProgramSpec): ProgramResult {
  const base = { section: program.section, name: program.name, type: programTypeName(program.type) };
  try {
    const loaded = loading.program(program);
    const { verified_insns } = loaded.info();
    const result = {
      ...base,
      verdict: 'accept' as const,
      errno: 0,
      errno_name: '',
      log: loading.lastLog,
      log_tail: '',
      loader: false,
      insn_cnt: loaded.insns.length,
      verified_insns,
      error: undefined,
    };
    return result;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return refusedResult(base, error, insnCount(loading, program));
  }
}

function refusedResult(
  base: { section: string; name: string; type: string },
  error: BpfError | LoaderError,
  insn_cnt: number,
): ProgramResult {
  const errno = Math.abs(isBtfError(error) ? ERRNO.EINVAL : (error.errno ?? ERRNO.EINVAL));
  const log = isVerifierError(error) ? error.log : error.message;
  const processed = /processed (\d+) insns/.exec(log)?.[1];
  return {
    ...base,
    verdict: 'reject',
    errno,
    errno_name: errnoName(errno) ?? `E${errno}`,
    log,
    log_tail: isVerifierError(error) ? lastLine(log) : error.message,
    loader: isLoaderError(error) || isBtfError(error),
    insn_cnt,
    verified_insns: Number(processed ?? 0),
    error,
  };
}

/** Instructions of the linked program, also where a map or symbol of it is missing. */
function insnCount(loading: Loading, program: ProgramSpec): number {
  try {
    return loading.linkedLength(program);
  } catch {
    return program.insns.length;
  }
}
