/** The command line: chooses the command, and turns whatever ends it into one line and an exit code. */

import { Failure, oneLine, usage } from './failure.ts';
import { genSkeleton } from './gen-skeleton.ts';
import { HELP, helpOf } from './help.ts';
import type { Io } from './io.ts';
import { progLoad } from './prog-load.ts';
import { progRun } from './prog-run.ts';
import { run } from './run.ts';
import { version } from './version.ts';
import { nearest } from './words.ts';

type Command = (words: readonly string[], io: Io) => number;

const PROG: Readonly<Record<string, Command>> = { load: progLoad, run: progRun };
const COMMANDS: Readonly<Record<string, Command>> = {
  run,
  gen: ([name, ...words], io) => choose({ skeleton: genSkeleton }, 'gen command', name)(words, io),
  prog: ([name, ...words], io) => choose(PROG, 'prog command', name)(words, io),
  help: ([name], io) => {
    if (name !== undefined) choose(COMMANDS, 'command', name);
    io.stdout(name === undefined ? HELP : helpOf(name));
    return 0;
  },
  version: (_, io) => {
    io.stdout(`bpftool-ts ${version()}\n`);
    return 0;
  },
};

const isHelp = (word: string): boolean => word === '--help' || word === '-h';

/** `COMMAND … --help` asks for the grammar of that command; `--help` and `--version` stand for the commands of that name. */
function meant(words: readonly string[]): readonly string[] {
  if (words[0] === '--version' || words[0] === '-V') return ['version'];
  if (!words.some(isHelp)) return words;
  const [command] = words.filter((word) => !isHelp(word));
  return command !== undefined && command !== 'help' && Object.hasOwn(COMMANDS, command) ? ['help', command] : ['help'];
}

function choose(commands: Readonly<Record<string, Command>>, what: string, name: string | undefined): Command {
  const known = Object.keys(commands);
  if (name === undefined) throw usage(`a ${what} is missing: ${known.join(', ')}`);
  const found = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!found) throw usage(`there is no ${what} '${name}'${nearest(name, known)}`);
  return found;
}

/**
 * Runs one command line and returns the exit code: 0, 1 for what failed, 2 for a command line that makes no sense. What failed is a line
 * on stderr, and with `--json` an object with a member `error` on stdout too, as Linux's bpftool prints it.
 */
export function main(words: readonly string[], io: Io): number {
  try {
    const [name, ...rest] = meant(words);
    return choose(COMMANDS, 'command', name)(rest, io);
  } catch (error) {
    const line = oneLine(error);
    if (words.includes('--json')) io.stdout(`${JSON.stringify({ error: line })}\n`);
    io.stderr(`bpftool-ts: ${line}\n`);
    return error instanceof Failure ? error.exitCode : 1;
  }
}
