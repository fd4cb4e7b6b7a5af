/** `OBJ[:PROG]`: which file, and which of its programs. */

import { parseObject, selectProgram, type ObjectSpec, type ProgramSpec } from 'libbpf-ts';
import { Failure } from './failure.ts';
import type { Io } from './io.ts';

export interface ObjectArgument {
  readonly path: string;
  /** Function or section name behind the colon. */
  readonly program: string | undefined;
}

/** Splits at the last colon that leaves a file that exists; a path may hold colons itself. */
export function splitObject(word: string, io: Io): ObjectArgument {
  if (io.exists(word)) return { path: word, program: undefined };
  for (let at = word.lastIndexOf(':'); at > 0; at = word.lastIndexOf(':', at - 1)) {
    const path = word.slice(0, at);
    if (io.exists(path)) return { path, program: word.slice(at + 1) };
  }
  const colon = word.lastIndexOf(':');
  return colon > 0 ? { path: word.slice(0, colon), program: word.slice(colon + 1) } : { path: word, program: undefined };
}

/** Reads and parses the object. Every error names the file. */
export function openObject({ path }: ObjectArgument, io: Io): ObjectSpec {
  const bytes = io.read(path);
  return inFile(path, () => parseObject(bytes));
}

/** The program named, or the only one that `accept` takes; otherwise an error that lists the choice. */
export function chooseProgram(
  argument: ObjectArgument,
  spec: ObjectSpec,
  what: string,
  accept: (program: ProgramSpec) => boolean,
): ProgramSpec {
  if (argument.program === undefined && !spec.programs.some(accept)) {
    const found =
      spec.programs.length === 0
        ? 'no program at all'
        : `only ${spec.programs.map(({ name, section }) => `${name} (${section})`).join(', ')}`;
    throw new Failure(`${argument.path}: no program for ${what}; the object has ${found}`);
  }
  return inFile(argument.path, () => selectProgram(spec, argument.program, accept));
}

/** Runs something about a file; what it throws gets the file's name in front. */
export function inFile<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Failure) throw error;
    if (error instanceof Error && error.name !== 'Error' && error.name !== 'TypeError')
      throw new Failure(`${path}: ${firstLine(error)}`);
    throw error;
  }
}

const firstLine = (error: Error): string => error.message.split('\n')[0]!;
