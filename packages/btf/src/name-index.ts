/** Finds types by name without decoding any: a hash over the name bytes, with chains in flat arrays. */

import type { Btf } from './btf.ts';

const UNDERSCORE = 0x5f;

/**
 * Length of a name without its `___flavour`. As libbpf reads it: the last place where three underscores stand between two
 * characters that are none.
 */
export function essentialLength(name: string): number {
  for (let i = name.length - 5; i >= 0; i--) {
    if (name[i] !== '_' && name.startsWith('___', i + 1) && name[i + 4] !== '_') return i + 1;
  }
  return name.length;
}

/** A name without its `___flavour`. */
export function essentialName(name: string): string {
  return name.slice(0, essentialLength(name));
}

export class NameIndex {
  readonly #btf: Btf;
  readonly #mask: number;
  readonly #heads: Int32Array;
  readonly #next: Int32Array;
  /** Types of flavoured names (`x___y`) by the name without the flavour. */
  readonly #flavoured = new Map<string, number[]>();

  /** `names` has the position of each own type's name in the BTF's bytes; -1 = no name, -2 = in the base's strings. */
  constructor(btf: Btf, names: Int32Array) {
    this.#btf = btf;
    let buckets = 64;
    while (buckets < names.length) buckets *= 2;
    this.#mask = buckets - 1;
    this.#heads = new Int32Array(buckets).fill(-1);
    this.#next = new Int32Array(names.length).fill(-1);
    // Backwards, so that each chain lists lower ids first.
    for (let i = names.length - 1; i >= 0; i--) {
      const at = names[i]!;
      if (at === -1) continue;
      const hash = at >= 0 ? this.#hashAt(i, at) : this.#hashText(i, btf.type(btf.startId + i).name);
      this.#next[i] = this.#heads[hash]!;
      this.#heads[hash] = i;
    }
  }

  /** Ids of this BTF's own types with exactly this name, ascending. */
  lookup(name: string): number[] {
    const found: number[] = [];
    for (let i = this.#heads[hashOf(name) & this.#mask]!; i >= 0; i = this.#next[i]!) {
      const id = this.#btf.startId + i;
      if (this.#btf.type(id).name === name) found.push(id);
    }
    return found;
  }

  /** Ids of this BTF's own types whose name is `name` with or without a flavour, ascending. */
  lookupEssential(name: string): number[] {
    const flavoured = this.#flavoured.get(name);
    const plain = this.lookup(name).filter(() => essentialLength(name) === name.length);
    return flavoured ? [...plain, ...flavoured].sort((a, b) => a - b) : plain;
  }

  #hashAt(index: number, at: number): number {
    const bytes = this.#btf.bytes;
    let hash = 0;
    let run = 0;
    let flavoured = false;
    for (let i = at; i < bytes.length; i++) {
      const byte = bytes[i]!;
      if (byte === 0) break;
      if (byte >= 0x80) return this.#hashText(index, this.#btf.type(this.#btf.startId + index).name);
      if (byte === UNDERSCORE) run++;
      else {
        if (run === 3) flavoured = true;
        run = 0;
      }
      hash = (Math.imul(hash, 31) + byte) | 0;
    }
    if (flavoured) this.#noteFlavour(index);
    return hash & this.#mask;
  }

  #hashText(index: number, name: string): number {
    if (name.includes('___')) this.#noteFlavour(index);
    return hashOf(name) & this.#mask;
  }

  #noteFlavour(index: number): void {
    const id = this.#btf.startId + index;
    const { name } = this.#btf.type(id);
    const essential = essentialName(name);
    if (essential === name) return;
    const list = this.#flavoured.get(essential);
    if (list) list.push(id);
    else this.#flavoured.set(essential, [id]);
  }
}

function hashOf(name: string): number {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = (Math.imul(hash, 31) + name.charCodeAt(i)) | 0;
  return hash;
}
