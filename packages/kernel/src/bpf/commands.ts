/** The table of bpf(2) commands. */

import { BPF_CMD_NAMES, type BpfCmdNumber } from '@libbpf-ts/uapi';

import type { BpfCall } from '../call.ts';
import { linkCreate, linkDetach, linkUpdate, progAttach, progDetach, progQuery } from './attach.ts';
import { btfLoad } from './btf-load.ts';
import { getFdById, getNextId } from './ids.ts';
import { objGetInfoByFd } from './info.ts';
import { mapBatch } from './map-batch.ts';
import { mapCreate } from './map-create.ts';
import { freeze } from './map-elem.ts';
import { elemRaw } from './map-elem-forms.ts';
import {
  enableStats,
  iterCreate,
  progBindMap,
  progStreamRead,
  progTestRun,
  rawTracepointOpen,
  taskFdQuery,
  tokenCreate,
} from './misc.ts';
import { objGet, objPin } from './objects.ts';
import { progLoad } from './prog-load.ts';

/** One command. It throws refusals; what it returns (0 where nothing) is the result of the call. */
export interface Command {
  readonly name: string;
  readonly run: (call: BpfCall<never>) => number | void;
}

type Handlers = { readonly [C in BpfCmdNumber]?: (call: BpfCall<C>) => number | void };

const handlers: Handlers = {
  0: mapCreate,
  1: elemRaw,
  2: elemRaw,
  3: elemRaw,
  4: elemRaw,
  5: progLoad,
  6: objPin,
  7: objGet,
  8: progAttach,
  9: progDetach,
  10: progTestRun,
  11: (call) => getNextId(call, 'prog'),
  12: (call) => getNextId(call, 'map'),
  23: (call) => getNextId(call, 'btf'),
  31: (call) => getNextId(call, 'link'),
  13: (call) => getFdById(call, 'prog'),
  14: (call) => getFdById(call, 'map'),
  19: (call) => getFdById(call, 'btf'),
  30: (call) => getFdById(call, 'link'),
  15: objGetInfoByFd,
  16: progQuery,
  17: rawTracepointOpen,
  18: btfLoad,
  20: taskFdQuery,
  21: elemRaw,
  22: freeze,
  24: mapBatch,
  25: mapBatch,
  26: mapBatch,
  27: mapBatch,
  28: linkCreate,
  29: linkUpdate,
  32: enableStats,
  33: iterCreate,
  34: linkDetach,
  35: progBindMap,
  36: tokenCreate,
  37: progStreamRead,
};

/** By command number; undefined where this kernel has none. */
export const commands: readonly (Command | undefined)[] = Array.from({ length: 38 }, (_, cmd) => {
  const run = handlers[cmd as BpfCmdNumber] as Command['run'] | undefined;
  return run && { name: BPF_CMD_NAMES.get(cmd)!, run };
});
