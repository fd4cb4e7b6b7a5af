/** `gen skeleton`: a TypeScript module for an object, with its maps, programs and variables as types. */

import { generateSkeleton } from 'libbpf-ts';
import { usage } from './failure.ts';
import type { Io } from './io.ts';
import { inFile, openObject } from './object-argument.ts';
import { splitWords } from './words.ts';

export function genSkeleton(words: readonly string[], io: Io): number {
  const { plain } = splitWords(words, { flags: [], values: [] });
  const [path, keyword, name, extra] = plain;
  if (path === undefined) throw usage('gen skeleton needs an OBJ');
  if (keyword !== undefined && keyword !== 'name') throw usage(`gen skeleton does not know '${keyword}': name`);
  if (keyword === 'name' && name === undefined) throw usage('name needs a value');
  if (extra !== undefined) throw usage(`gen skeleton takes one OBJ, '${extra}' is too many`);
  const spec = openObject({ path, program: undefined }, io);
  io.stdout(inFile(path, () => generateSkeleton(spec, { name: name ?? nameOf(path), bytes: io.read(path) })));
  return 0;
}

/** `dir/firewall.bpf.o` is called `firewall`. */
function nameOf(path: string): string {
  return path
    .split('/')
    .at(-1)!
    .replace(/(\.bpf)?\.(o|elf)$/, '')
    .replace(/[^\w$]/g, '_');
}
