/** The command line of the bench. A word that means nothing here ends it before anything is measured. */

import { parseArgs } from 'node:util';
import { defaultEngines } from '@libbpf-ts/vm';

import { KINDS } from './programs.ts';

/** What is measured besides the kinds of program. */
const PARTS = ['costs', 'maps', 'tcx', 'verifier'] as const;

export interface BenchArguments {
  readonly help: boolean;
  readonly json: string | undefined;
  /** Kinds of program and parts; undefined for all but the verifier. */
  readonly only: readonly string[] | undefined;
  /** Names of engines, the default's first. */
  readonly engines: readonly string[];
  readonly rounds: number;
  /** Milliseconds that a side runs in a round. */
  readonly slice: number;
}

/** A command line that makes no sense: says what is wrong and what there is. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const ENGINES = defaultEngines.map(({ name }) => name);

export const HELP: string = `npm run -s bench -- [--only NAME,…] [--engines NAME,…] [--rounds N] [--slice MS] [--json FILE]

  --only     kinds of program: ${KINDS.join(', ')}
             parts: ${PARTS.join(', ')} (verifier by itself); without --only all but the verifier
  --engines  ${ENGINES.join(', ')}; all by default
  --rounds   rounds of all sides in turn (9); the figures are medians over them
  --slice    milliseconds that a side runs in a round (12)
  --json     writes everything measured to a file
`;

/** Throws {@link UsageError} for an unknown option or name, and for a number that is none. */
export function parseArguments(words: readonly string[]): BenchArguments {
  const values = parsed(words);
  const only = list('only', values.only, [...KINDS, ...PARTS]);
  if (only?.includes('verifier') && only.length > 1) throw new UsageError('--only verifier is measured by itself');
  return {
    help: values.help,
    json: values.json,
    only,
    engines: list('engines', values.engines, ENGINES) ?? ENGINES,
    rounds: positive('rounds', values.rounds),
    slice: positive('slice', values.slice),
  };
}

interface RawValues {
  readonly help: boolean;
  readonly json?: string | undefined;
  readonly only?: string | undefined;
  readonly engines?: string | undefined;
  readonly rounds: string;
  readonly slice: string;
}

function parsed(words: readonly string[]): RawValues {
  try {
    return parseArgs({
      args: [...words],
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        json: { type: 'string' },
        only: { type: 'string' },
        engines: { type: 'string' },
        rounds: { type: 'string', default: '9' },
        slice: { type: 'string', default: '12' },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message.split('\n')[0]!);
  }
}

function list(option: string, text: string | undefined, known: readonly string[]): readonly string[] | undefined {
  const names = text?.split(',');
  const unknown = names?.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new UsageError(`--${option}: there is no '${unknown}': ${known.join(', ')}`);
  return names;
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new UsageError(`--${option} ${text} is not a number above 0`);
  return value;
}
