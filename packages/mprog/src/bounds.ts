/**
 * FIRST and LAST, as the discussion that led to mprog proposed them and mainline does not have them: a promise about a place that holds
 * as long as the attachment does. For custom hooks that ask for it.
 */

import { BPF_F_AFTER, BPF_F_BEFORE, BPF_F_REPLACE, KernelError } from '@libbpf-ts/uapi';

import { attach, type Anchor, type MprogAttach, type MprogItem, type MprogList } from './list.ts';

/** The bits that the proposal used mean other things by now, so these lie outside of what the ABI's flags occupy. */
export const BPF_F_FIRST = 0x0100_0000;
export const BPF_F_LAST = 0x0200_0000;
export const BOUND_FLAGS: number = BPF_F_FIRST | BPF_F_LAST;

/**
 * As `attach`, with FIRST and LAST in `flags`: nothing ever comes before a program attached FIRST or behind one attached LAST, a
 * second FIRST or LAST is refused, and both together mean "the only program". BEFORE without a relative object goes right behind a
 * FIRST, AFTER without one (and no flag) right before a LAST. BPF_F_REPLACE overrides: the new program has the bounds that its own
 * request names. The update of a link keeps them.
 * Throws KernelError EBUSY where a bound is in the way, else what `attach` throws.
 */
export function attachBounded<P extends { readonly id: number }, L>(
  list: MprogList<P, L>,
  request: MprogAttach<P, L>,
): MprogList<P, L> {
  const wanted = request.flags & BOUND_FLAGS;
  const flags = request.flags & ~BOUND_FLAGS;
  const replacing = (flags & BPF_F_REPLACE) !== 0;
  const placed = replacing ? { ...request, flags } : placeByBounds(list, { ...request, flags }, wanted);
  const next = attach(list, placed);
  const old = replacing ? list.items.find((item) => item.prog === request.replaces?.prog) : undefined;
  const bound = replacing && request.link !== null ? (old?.bound ?? 0) : wanted;
  const items = next.items.map((item): MprogItem<P, L> =>
    item.prog === request.prog && bound !== 0 ? { ...item, bound } : item,
  );
  checkBounds(items);
  return { ...next, items };
}

/** Turns what the bounds imply into BEFORE and AFTER, and "the end" into "the end as far as the bounds let". */
function placeByBounds<P, L>(list: MprogList<P, L>, request: MprogAttach<P, L>, wanted: number): MprogAttach<P, L> {
  const { flags } = request;
  const first = list.items[0];
  const last = list.items.at(-1);
  const [holdsFirst, holdsLast] = [has(first, BPF_F_FIRST), has(last, BPF_F_LAST)];
  let anchored: Anchor<P, L> | undefined;
  let resolved = false;
  const resolve = (): Anchor<P, L> | undefined => {
    if (!resolved) anchored = request.anchor?.();
    resolved = true;
    return anchored;
  };
  if (wanted === 0) {
    if (flags === BPF_F_BEFORE && holdsFirst && !resolve()) return { ...request, flags: BPF_F_AFTER, anchor: () => first };
    if ((flags === BPF_F_AFTER || flags === 0) && holdsLast && !resolve())
      return { ...request, flags: BPF_F_BEFORE, anchor: () => last };
    return { ...request, anchor: resolve };
  }
  const implied =
    (wanted & BPF_F_FIRST ? BPF_F_BEFORE : 0) | (wanted & BPF_F_LAST && !(wanted & BPF_F_FIRST) ? BPF_F_AFTER : 0);
  return flags === 0 && !resolve() ? { ...request, flags: implied, anchor: resolve } : { ...request, anchor: resolve };
}

const has = (item: MprogItem<unknown, unknown> | undefined, bound: number): boolean => ((item?.bound ?? 0) & bound) !== 0;

function checkBounds(items: readonly MprogItem<{ readonly id: number }, unknown>[]): void {
  items.forEach((item, index) => {
    const refuse = (what: string): never => {
      throw new KernelError('EBUSY', `program ${item.prog.id} holds the ${what} place of this hook`, 'attach_flags');
    };
    if (has(item, BPF_F_FIRST) && index !== 0) refuse('first');
    if (has(item, BPF_F_LAST) && index !== items.length - 1) refuse('last');
  });
}
