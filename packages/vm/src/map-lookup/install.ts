/** One lookup function for each kind of map, in slots that all programs, walkers and TypeScript share. */

import { CELL } from '../cells.ts';
import type { VmRuntime } from '../runtime.ts';
import { ModuleWriter } from '../wasm/module.ts';
import { I32 } from '../wasm/op.ts';
import { emitLookup } from './emit.ts';
import { LOOKUP_FIELDS } from './layout.ts';
import type { MapLookupKind } from './layout.ts';
import { compileOwn } from '../wasm/compile.ts';

/**
 * Emits the lookup functions, puts them into slots of `runtime`, and returns the slots for `lookup_slot` of map headers.
 * Once a runtime; a fork has them in the same slots.
 */
export function installMapLookups(runtime: VmRuntime): Readonly<Record<MapLookupKind, number>> {
  const writer = new ModuleWriter();
  const type = writer.type([I32, I32], [I32]);
  writer.importMemory('vm', 'memory');
  const slots = {} as Record<MapLookupKind, number>;
  for (const kind of Object.keys(LOOKUP_FIELDS) as MapLookupKind[]) {
    const { code, locals } = emitLookup(kind, { cpuCell: runtime.block + CELL.cpu });
    const index = writer.declare(type);
    writer.define(index, locals, code);
    writer.export(kind, index);
    slots[kind] = runtime.functions.allocate();
    runtime.lookupKinds.set(slots[kind], kind);
  }
  runtime.install({ module: compileOwn(writer.finish().bytes), slots });
  return slots;
}
