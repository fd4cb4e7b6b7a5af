/** Reads the words of a command line: options anywhere, the rest in order. */

import { usage } from './failure.ts';

export interface Words {
  /** Words that are not options, in order. */
  readonly plain: readonly string[];
  readonly flags: ReadonlySet<string>;
  /** Values of options, in order for those that may be repeated. */
  readonly values: ReadonlyMap<string, readonly string[]>;
}

/** Options of a command: those without a value, and those with one. */
export interface Options {
  readonly flags: readonly string[];
  readonly values: readonly string[];
  /** Options with a value that may be given several times. */
  readonly repeated?: readonly string[];
}

/** Splits the words; an unknown option, a missing value or a repetition is a usage error that names it. */
export function splitWords(words: readonly string[], { flags, values, repeated = [] }: Options): Words {
  const plain: string[] = [];
  const given = new Set<string>();
  const found = new Map<string, string[]>();
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (!word.startsWith('--')) {
      plain.push(word);
      continue;
    }
    const [name, inline] = word.includes('=')
      ? [word.slice(2, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]
      : [word.slice(2), undefined];
    if (flags.includes(name)) {
      if (inline !== undefined) throw usage(`--${name} takes no value`);
      given.add(name);
      continue;
    }
    if (!values.includes(name) && !repeated.includes(name))
      throw usage(`unknown option --${name}${nearest(name, [...flags, ...values, ...repeated])}`);
    const value = inline ?? words[++i];
    if (value === undefined || (inline === undefined && value.startsWith('--'))) throw usage(`--${name} needs a value`);
    if (found.has(name) && !repeated.includes(name)) throw usage(`--${name} is given twice`);
    found.set(name, [...(found.get(name) ?? []), value]);
  }
  return { plain, flags: given, values: found };
}

/** The one value of an option. */
export function valueOf(words: Words, name: string): string | undefined {
  return words.values.get(name)?.[0];
}

/** ` (did you mean X?)` where a known word is two edits or fewer away. */
export function nearest(word: string, known: readonly string[]): string {
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(word, candidate) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best && best.distance <= 2 ? `, did you mean ${best.candidate}?` : '';
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
