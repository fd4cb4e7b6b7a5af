/** The table of bpf(2) commands. */

import { BPF_CMD_NAMES, type BpfCmdNumber } from '@libbpf-ts/uapi';

import type { BpfCall } from '../call.ts';
import { getFdById, getNextId } from './ids.ts';

/** One command. It throws refusals; what it returns (0 where nothing) is the result of the call. */
export interface Command {
  readonly name: string;
  readonly run: (call: BpfCall<never>) => number | void;
}

type Handlers = { readonly [C in BpfCmdNumber]?: (call: BpfCall<C>) => number | void };

const handlers: Handlers = {
  11: (call) => getNextId(call, 'prog'), 12: (call) => getNextId(call, 'map'), 23: (call) => getNextId(call, 'btf'),
  31: (call) => getNextId(call, 'link'), 13: (call) => getFdById(call, 'prog'), 14: (call) => getFdById(call, 'map'),
  19: (call) => getFdById(call, 'btf'), 30: (call) => getFdById(call, 'link'),
};

/** By command number; undefined where this kernel has none. */
export const commands: readonly (Command | undefined)[] = Array.from({ length: 38 }, (_, cmd) => {
  const run = handlers[cmd as BpfCmdNumber] as Command['run'] | undefined;
  return run && { name: BPF_CMD_NAMES.get(cmd)!, run };
});
