/** What a command reads from and writes to: the process in real life, memory in tests. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import process from 'node:process';
import { fileFailure } from './failure.ts';

export interface Io {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Whether a person watches stderr. */
  readonly interactive: boolean;
  readonly exists: (path: string) => boolean;
  /** Reads a file; a relative path is the caller's. Throws a Failure that names it. */
  readonly read: (path: string) => Uint8Array;
  readonly write: (path: string, bytes: Uint8Array) => void;
}

export function processIo(): Io {
  const base = process.env['INIT_CWD'] ?? process.cwd();
  return {
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    interactive: process.stderr.isTTY === true,
    exists: (path) => existsSync(resolve(base, path)),
    read(path) {
      try {
        return new Uint8Array(readFileSync(resolve(base, path)));
      } catch (error) {
        throw fileFailure('read', path, error);
      }
    },
    write(path, bytes) {
      try {
        writeFileSync(resolve(base, path), bytes);
      } catch (error) {
        throw fileFailure('write', path, error);
      }
    },
  };
}
