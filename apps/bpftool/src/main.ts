/** The command line: chooses the command, and turns whatever ends it into one line and an exit code. */

import { Failure, oneLine, usage } from './failure.ts';
import { genSkeleton } from './gen-skeleton.ts';
import { HELP } from './help.ts';
import type { Io } from './io.ts';
import { progLoad } from './prog-load.ts';
import { progRun } from './prog-run.ts';
import { run } from './run.ts';
import { nearest } from './words.ts';

type Command = (words: readonly string[], io: Io) => number;

const PROG: Readonly<Record<string, Command>> = { load: progLoad, run: progRun };
const COMMANDS: Readonly<Record<string, Command>> = {
  run,
  gen: ([name, ...words], io) => choose({ skeleton: genSkeleton }, 'gen command', name)(words, io),
  prog: ([name, ...words], io) => choose(PROG, 'prog command', name)(words, io),
  help: (_, io) => {
    io.stdout(HELP);
    return 0;
  },
};

function choose(commands: Readonly<Record<string, Command>>, what: string, name: string | undefined): Command {
  const known = Object.keys(commands);
  if (name === undefined) throw usage(`a ${what} is missing: ${known.join(', ')}`);
  const found = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!found) throw usage(`there is no ${what} '${name}'${nearest(name, known)}`);
  return found;
}

/** Runs one command line and returns the exit code: 0, 1 for what failed, 2 for a command line that makes no sense. */
export function main(words: readonly string[], io: Io): number {
  try {
    const [name, ...rest] = words[0] === '--help' || words[0] === '-h' ? ['help'] : words;
    return choose(COMMANDS, 'command', name)(rest, io);
  } catch (error) {
    io.stderr(`bpftool-ts: ${oneLine(error)}\n`);
    return error instanceof Failure ? error.exitCode : 1;
  }
}
