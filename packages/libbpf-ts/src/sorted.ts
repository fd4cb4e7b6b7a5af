/** Records in the order of their place, so that those of one function are found without reading them all. */

/** Groups records by section and sorts them by position. */
export class ByPlace<T> {
  readonly #sections = new Map<string | number, { readonly at: number; readonly record: T }[]>();

  add(section: string | number, at: number, record: T): void {
    const list = this.#sections.get(section);
    if (list) list.push({ at, record });
    else this.#sections.set(section, [{ at, record }]);
  }

  /** To be called once, after the last `add`. Records of one place keep their order. */
  sort(): this {
    for (const list of this.#sections.values()) list.sort((a, b) => a.at - b.at);
    return this;
  }

  /** Records of a section with `start <= position < end`. */
  between(section: string | number, start: number, end: number): T[] {
    const list = this.#sections.get(section) ?? [];
    const found: T[] = [];
    for (let i = lowerBound(list, start); i < list.length && list[i]!.at < end; i++) found.push(list[i]!.record);
    return found;
  }
}

function lowerBound(list: readonly { readonly at: number }[], wanted: number): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle]!.at < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
