/** The maps as a subsystem: types, helpers and kfuncs go into the kernel's registries. */

import type { Subsystem } from '@libbpf-ts/kernel';

import { mapHelpers, mapKfuncs } from './helpers/index.ts';
import { mapTypes } from './map-types.ts';
import { lookupSlots } from './state.ts';

/** Installs all map types, and the helpers and kfuncs that do not depend on a program type. */
export const maps: Subsystem = (kernel) => {
  lookupSlots(kernel);
  for (const ops of mapTypes) if (!kernel.mapTypes.has(ops.type)) kernel.mapTypes.register(ops.type, ops);
  for (const [id, factory] of mapHelpers) if (!kernel.helpers.has(id)) kernel.helpers.register(id, factory);
  for (const [name, factory] of mapKfuncs) if (!kernel.kfuncs.has(name)) kernel.kfuncs.register(name, factory);
};
