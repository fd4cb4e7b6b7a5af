/** What the maps of one kernel share: the slots of the lookup functions. */

import { stateKey, type Kernel, type StateKey } from '@libbpf-ts/kernel';
import { installMapLookups, type MapLookupKind } from '@libbpf-ts/vm';

export type LookupSlots = Readonly<Record<MapLookupKind, number>>;

const slotsKey: StateKey<LookupSlots> = stateKey<LookupSlots>('maps.lookups');

/** Emitted once a kernel; forks have them in the same slots. */
export function lookupSlots(kernel: Kernel): LookupSlots {
  return kernel.state(slotsKey, { create: () => installMapLookups(kernel.runtime), clone: (slots) => slots });
}
