/** What the maps of one kernel share: the slots of the lookup functions and of those on ring buffers. */

import { stateKey, type Kernel, type StateKey } from '@libbpf-ts/kernel';
import { installMapLookups, installRingbuf, type MapLookupKind, type RingSlots } from '@libbpf-ts/vm';

export type LookupSlots = Readonly<Record<MapLookupKind, number>>;

const slotsKey: StateKey<LookupSlots> = stateKey<LookupSlots>('maps.lookups');

/** Emitted once a kernel; forks have them in the same slots. */
export function lookupSlots(kernel: Kernel): LookupSlots {
  return kernel.state(slotsKey, { create: () => installMapLookups(kernel.runtime), clone: (slots) => slots });
}

const ringSlotsKey: StateKey<RingSlots> = stateKey<RingSlots>('maps.ringbuf');

/** Emitted when a kernel first has a program with one of these helpers. */
export function ringSlots(kernel: Kernel): RingSlots {
  return kernel.state(ringSlotsKey, { create: () => installRingbuf(kernel.runtime), clone: (slots) => slots });
}
