/** Makes the actions that a request names. Mirrors tcf_action_init and the init functions of act_mirred, act_gact and act_bpf. */

import type { Task } from '@libbpf-ts/kernel';
import { netnsOf, type NetDevice } from '@libbpf-ts/net';
import { BPF_PROG_TYPE_SCHED_ACT, KernelError, MIRRED_ACTIONS, TC_ACT_TRAP, type ActionMessage } from '@libbpf-ts/uapi';

import { EXT_MASK, TC_ACT_GOTO_CHAIN, type ActionStats, type TcAction } from './actions.ts';
import { TcRefusal } from './request.ts';
import { tcState } from './state.ts';

const KIND_SIZE = 16;
/** Most actions of a filter (`TCA_ACT_MAX_PRIO`). */
const MAX_ACTIONS = 32;
const KINDS: readonly string[] = ['gact', 'mirred', 'bpf'];

/** The actions of a filter that is being made: `abandon` gives their numbers back where it is refused after all. */
export interface MadeActions {
  readonly list: readonly TcAction[];
  abandon(): void;
}

export function makeActions(task: Task, messages: readonly ActionMessage[]): MadeActions {
  if (messages.length > MAX_ACTIONS) throw new TcRefusal('EINVAL', 'Only 32 actions supported per filter', 'actions');
  for (const { kind } of messages) checkKind(kind);
  const { indexes } = tcState(task.kernel);
  const list: TcAction[] = [];
  const abandon = (): void => {
    for (const { kind, netns, index } of list) indexes.give(kind, netns, index);
  };
  try {
    for (const message of messages) list.push(makeAction(task, message));
  } catch (error) {
    abandon();
    throw error;
  }
  return { list, abandon };
}

function checkKind(kind: string): void {
  if (kind === '') throw new TcRefusal('EINVAL', 'TC action kind must be specified', 'actions');
  if (kind.length >= KIND_SIZE) throw new TcRefusal('EINVAL', 'TC action name too long', 'actions');
  if (!KINDS.includes(kind)) throw new TcRefusal('ENOENT', 'Failed to load TC action module', 'actions');
}

function makeAction(task: Task, message: ActionMessage): TcAction {
  const { kind, action } = message;
  if (kind === 'mirred') return makeMirred(task, message);
  if (action === undefined) throw new KernelError('EINVAL', `action ${kind} has no parameters`, 'actions');
  checkControlAction(action);
  if (kind === 'gact') return { kind, ...common(task, kind, action) };
  if (message.fd === undefined) throw new KernelError('EINVAL', 'action bpf has no program', 'actions');
  const prog = task.prog(message.fd, 'actions', BPF_PROG_TYPE_SCHED_ACT);
  return { kind: 'bpf', prog, ...common(task, 'bpf', action) };
}

/** `tcf_mirred_init`. */
function makeMirred(task: Task, { hasOptions, parmsSize, action, eaction, ifindex }: ActionMessage): TcAction {
  if (!hasOptions) throw new TcRefusal('EINVAL', 'act_mirred: Mirred requires attributes to be passed', 'actions');
  if (parmsSize === undefined) throw new TcRefusal('EINVAL', 'act_mirred: Missing required mirred parameters', 'actions');
  if (eaction === undefined || action === undefined)
    throw new TcRefusal('ERANGE', 'Attribute failed policy validation', 'actions');
  const row = MIRRED_ACTIONS.find((each) => each.eaction === eaction);
  if (!row) throw new TcRefusal('EINVAL', 'act_mirred: Unknown mirred option', 'actions');
  if (ifindex === 0) throw new TcRefusal('EINVAL', 'act_mirred: Must specify device or block', 'actions');
  checkControlAction(action);
  const device: NetDevice | undefined = netnsOf(task).byIndex(ifindex!);
  if (!device) throw new KernelError('ENODEV', `no device has the ifindex ${ifindex}`, 'actions');
  const { mode, direction } = row;
  return { kind: 'mirred', mode, direction, device, ...common(task, 'mirred', action) };
}

/** `tcf_action_check_ctrlact`: what follows the action is a TC_ACT_* code, a jump or a chain. */
function checkControlAction(action: number): void {
  const opcode = action & EXT_MASK;
  if (opcode === 0 ? action > TC_ACT_TRAP : opcode > TC_ACT_GOTO_CHAIN)
    throw new TcRefusal('EINVAL', 'invalid control action', 'actions');
}

function common(
  task: Task,
  kind: string,
  action: number,
): { action: number; netns: number; index: number; stats: ActionStats } {
  const netns = netnsOf(task).id;
  const index = tcState(task.kernel).indexes.take(kind, netns);
  return { action, netns, index, stats: { packets: 0, bytes: 0, drops: 0, overlimits: 0 } };
}
