/** An Io over memory, with the project's fixtures as its files. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileFailure } from '../src/failure.ts';
import type { Io } from '../src/io.ts';
import { main } from '../src/main.ts';

export const fixtures: string = join(import.meta.dirname, '../../../fixtures');

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly written: ReadonlyMap<string, Uint8Array>;
}

/** Runs one command line; `files` stand beside the real ones. */
export function runCli(words: readonly string[], files: Readonly<Record<string, Uint8Array>> = {}): Outcome {
  let out = '';
  let err = '';
  const written = new Map<string, Uint8Array>();
  const io: Io = {
    stdout: (text) => void (out += text),
    stderr: (text) => void (err += text),
    interactive: false,
    exists: (path) => path in files || existsSync(path),
    read: (path) => {
      const given = files[path];
      if (given) return given;
      try {
        return new Uint8Array(readFileSync(path));
      } catch (error) {
        throw fileFailure('read', path, error);
      }
    },
    write: (path, bytes) => void written.set(path, bytes),
  };
  return { code: main(words, io), out, err, written };
}
