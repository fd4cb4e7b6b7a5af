/** The list of programs on one hook, as a value: who is attached, in which order, at which revision. Mirrors kernel/bpf/mprog.c. */

import { BPF_F_AFTER, BPF_F_BEFORE, BPF_F_REPLACE, BPF_MPROG_MAX, KernelError } from '@libbpf-ts/uapi';

/** Usable slots: the array has one more, which stays empty as the end mark of the walk. */
export const MPROG_CAPACITY: number = BPF_MPROG_MAX - 1;

/** One attached program, and the link that owns it; `null` where it was attached without a link. */
export interface MprogItem<P, L> {
  readonly prog: P;
  readonly link: L | null;
  /** On hooks that know them: BPF_F_FIRST, BPF_F_LAST, which hold as long as the attachment does. */
  readonly bound?: number;
}

/** What is on a hook. A new hook is at revision 1; every successful change adds 1. */
export interface MprogList<P, L> {
  readonly revision: bigint;
  readonly items: readonly MprogItem<P, L>[];
}

/** The program (or the program by its link) that a request's BEFORE and AFTER are relative to. */
export interface Anchor<P, L> {
  readonly prog: P;
  readonly link: L | null;
}

export interface MprogAttach<P, L> {
  readonly prog: P;
  /** The link that will own the program; `null` for an attachment without a link. */
  readonly link: L | null;
  /** BPF_F_BEFORE, BPF_F_AFTER, BPF_F_REPLACE decide the place; any other bit counts as "some flag was given". */
  readonly flags: number;
  /** The program that BPF_F_REPLACE swaps out, and the link that must own it. */
  readonly replaces?: Anchor<P, L> | undefined;
  /** Called when it is the relative object's turn in the order of checks; may throw EBADF, EINVAL or ENOENT. */
  readonly anchor?: (() => Anchor<P, L> | undefined) | undefined;
  /** 0 accepts any revision. */
  readonly expectedRevision?: bigint | undefined;
}

export interface MprogDetach<P, L> {
  /** Without a program the place alone decides what goes: front, back, left or right of the anchor. */
  readonly prog?: P | undefined;
  /** The link that must own the program; `null` where none may. */
  readonly link: L | null;
  readonly flags: number;
  readonly anchor?: (() => Anchor<P, L> | undefined) | undefined;
  readonly expectedRevision?: bigint | undefined;
}

/** The hook that nobody has touched yet. */
export function emptyList<P, L>(): MprogList<P, L> {
  return { revision: 1n, items: [] };
}

/**
 * Puts a program where all rules of the request agree that it goes (`bpf_mprog_attach`).
 * Returns the next list and leaves `list` as it was; its owner swaps the new one in.
 * Throws KernelError ESTALE, EEXIST, ENOENT, EBUSY, ERANGE, EINVAL, in the kernel's order, and what `anchor` throws.
 */
export function attach<P extends { readonly id: number }, L>(
  list: MprogList<P, L>,
  request: MprogAttach<P, L>,
): MprogList<P, L> {
  const { prog, link, flags, replaces } = request;
  expectRevision(list, request.expectedRevision);
  if (list.items.some((item) => item.prog === prog))
    throw new KernelError('EEXIST', `program ${prog.id} is on this hook already`, 'prog_fd');
  const anchor = request.anchor?.();
  const replacing = (flags & BPF_F_REPLACE) !== 0;
  const exact = replacing ? exactly(list, replaces) : undefined;
  if (!replacing && list.items.length >= MPROG_CAPACITY)
    throw new KernelError('ERANGE', `the hook is full: ${MPROG_CAPACITY} programs`);
  const place = agree(list, flags, anchor, exact) ?? last(list, flags, anchor);
  const item = { prog, link };
  const items = list.items.slice();
  if (replacing) items[place.index] = item;
  else items.splice(place.before ? place.index + 1 : place.index, 0, item);
  return { revision: list.revision + 1n, items };
}

/**
 * Takes a program off the hook (`bpf_mprog_detach`): the one named, or the one at the place that the flags describe.
 * Returns the next list and the item that left. A place just outside the list means the element at its end.
 */
export function detach<P extends { readonly id: number }, L>(
  list: MprogList<P, L>,
  request: MprogDetach<P, L>,
): { readonly list: MprogList<P, L>; readonly removed: MprogItem<P, L> } {
  const { prog, link, flags } = request;
  if (flags & BPF_F_REPLACE) throw new KernelError('EINVAL', 'BPF_F_REPLACE makes no sense for a detach', 'attach_flags');
  expectRevision(list, request.expectedRevision);
  if (list.items.length === 0) throw new KernelError('ENOENT', 'nothing is attached to this hook');
  const anchor = request.anchor?.();
  const exact = prog && exactly(list, { prog, link });
  const { index } = agree(list, flags, anchor, exact) ?? last(list, flags, anchor);
  if (index >= MPROG_CAPACITY) throw new KernelError('ERANGE', `place ${index} lies behind the last slot`);
  const chosen = Math.min(Math.max(index, 0), list.items.length - 1);
  const removed = list.items[chosen]!;
  if (removed.link !== link) throw owned(removed);
  const items = list.items.filter((_, at) => at !== chosen);
  return { list: { revision: list.revision + 1n, items }, removed };
}

/** Where an item is inserted: just before the slot after `index` (BEFORE), or at `index` itself. */
interface Place {
  readonly index: number;
  readonly before: boolean;
}

function expectRevision(list: MprogList<unknown, unknown>, expected: bigint | undefined): void {
  if (expected && expected !== list.revision) {
    throw new KernelError('ESTALE', `the hook is at revision ${list.revision}, expected ${expected}`, 'expected_revision');
  }
}

function owned(item: MprogItem<{ readonly id: number }, unknown>): KernelError {
  const owner = item.link === null ? 'is attached without a link' : 'belongs to a link';
  return new KernelError('EBUSY', `program ${item.prog.id} ${owner}: only its owner may change it`, 'replace_bpf_fd');
}

/** `bpf_mprog_pos_exact`: the index of this program, which must be owned as given. */
function exactly<P extends { readonly id: number }, L>(list: MprogList<P, L>, wanted: Anchor<P, L> | undefined): number {
  const index = wanted ? list.items.findIndex((item) => item.prog === wanted.prog) : -1;
  if (!wanted || index < 0) throw new KernelError('ENOENT', 'the program to act on is not on this hook', 'replace_bpf_fd');
  if (list.items[index]!.link !== wanted.link) throw owned(list.items[index]!);
  return index;
}

/** A program matches also where a link owns it; a link matches only itself. */
function indexOfAnchor<P, L>(list: MprogList<P, L>, anchor: Anchor<P, L>): number {
  const index = list.items.findIndex(
    (item) => item.prog === anchor.prog && (anchor.link === null || item.link === anchor.link),
  );
  if (index < 0) throw new KernelError('ENOENT', 'the relative program or link is not on this hook', 'relative_fd');
  return index;
}

/**
 * The one position that replace target, BEFORE and AFTER agree on, or `undefined` where none of them was given.
 * BEFORE alone is slot -1 and AFTER alone the slot behind the last, so neither ever agrees with a real index.
 */
function agree<P, L>(
  list: MprogList<P, L>,
  flags: number,
  anchor: Anchor<P, L> | undefined,
  exact: number | undefined,
): Place | undefined {
  let place = exact;
  const rule = (position: number): void => {
    if (place !== undefined && place !== position) {
      throw new KernelError('ERANGE', `the rules disagree: slot ${place} and slot ${position}`, 'attach_flags');
    }
    place = position;
  };
  if (flags & BPF_F_BEFORE) rule(anchor ? indexOfAnchor(list, anchor) - 1 : -1);
  if (flags & BPF_F_AFTER) rule(anchor ? indexOfAnchor(list, anchor) + 1 : list.items.length);
  return place === undefined ? undefined : { index: place, before: (flags & BPF_F_BEFORE) !== 0 };
}

/** No rule was given: the end of the list. A relative object or any flag without BEFORE or AFTER is a mistake. */
function last<P, L>(list: MprogList<P, L>, flags: number, anchor: Anchor<P, L> | undefined): Place {
  if (anchor || flags) {
    throw new KernelError(
      'EINVAL',
      'a relative object or a flag was given without BPF_F_BEFORE or BPF_F_AFTER',
      'attach_flags',
    );
  }
  return { index: list.items.length, before: false };
}
