/**
 * Actions behind a filter that matched. Lists, jumps, chains and mirred are measured (`test/oracle/mirred.json`); gact follows tc-gact(8) and
 * act_bpf follows tc-bpf(8), since the kernel that was asked has neither.
 */

import type { BpfProg, Fork } from '@libbpf-ts/kernel';
import { forward, type NetDevice, type Skb } from '@libbpf-ts/net';
import {
  BPF_F_INGRESS,
  TC_ACT_OK,
  TC_ACT_PIPE,
  TC_ACT_RECLASSIFY,
  TC_ACT_REDIRECT,
  TC_ACT_REPEAT,
  TC_ACT_SHOT,
  TC_ACT_UNSPEC,
} from '@libbpf-ts/uapi';

/** TC_ACT_GOTO_CHAIN with the chain's number in its low bits. */
export const TC_ACT_GOTO_CHAIN = 0x2000_0000;
/** The part of a code that says it is a jump (1) or a chain (2). */
export const EXT_MASK: number = 0xf000_0000 | 0;
const TC_ACT_JUMP = 0x1000_0000;
/** How many actions a jump skips (`TCA_ACT_MAX_PRIO_MASK`). */
const JUMP_MASK = 0x1ff;
/** Repetitions of an action and jumps (`TCA_ACT_MAX_PRIO`) before the list ends. */
const MAX_REPEAT = 32;
const MAX_JUMPS = 32;

export interface ActionStats {
  packets: number;
  bytes: number;
  drops: number;
  /** Packets that it could not do its work for. */
  overlimits: number;
}

interface Common {
  /** TC_ACT_* code that follows; what it means is the kind's. */
  readonly action: number;
  readonly stats: ActionStats;
  /** Its number among those of its kind in its namespace. */
  readonly index: number;
  readonly netns: number;
}

/** One action. `stats` counts what it saw. */
export type TcAction = Common &
  (
    | /** gact: a verdict of its own. */ { readonly kind: 'gact' }
    | /** mirred: sends the packet (redirect) or a copy (mirror) to a device. */ {
        readonly kind: 'mirred';
        readonly mode: 'redirect' | 'mirror';
        readonly direction: 'egress' | 'ingress';
        readonly device: NetDevice;
      }
    | /** act_bpf: a program decides; TC_ACT_UNSPEC from it means `action`. */ { readonly kind: 'bpf'; readonly prog: BpfProg }
  );

/**
 * What the actions decided (`tcf_action_exec`): a TC_ACT_* code. Without actions a match is TC_ACT_OK. A jump starts the list anew behind
 * the given number of actions.
 */
export function runActions(actions: readonly TcAction[], skb: Skb, device: NetDevice): number {
  let code = TC_ACT_OK;
  let jumps = MAX_JUMPS;
  for (let at = 0; at < actions.length; at++) {
    const action = actions[at]!;
    let repeats = 0;
    do {
      if (repeats++ > MAX_REPEAT) return TC_ACT_OK;
      code = counted(action, skb, device);
    } while (code === TC_ACT_REPEAT);
    if ((code & EXT_MASK) === TC_ACT_JUMP) {
      const skip = code & JUMP_MASK;
      if (skip === 0 || skip > actions.length || --jumps <= 0) return TC_ACT_OK;
      at = skip - 1;
      code = TC_ACT_OK;
    } else if (code !== TC_ACT_PIPE) return code;
  }
  return code;
}

function counted(action: TcAction, skb: Skb, device: NetDevice): number {
  const { stats } = action;
  stats.packets++;
  stats.bytes += skb.len;
  const code = runAction(action, skb, device);
  if (code === TC_ACT_SHOT && action.kind !== 'mirred') stats.drops++;
  return code;
}

function runAction(action: TcAction, skb: Skb, device: NetDevice): number {
  if (action.kind === 'gact') return action.action;
  if (action.kind === 'bpf') return bpfVerdict(action.prog.run(skb.address), action.action);
  const { net } = device;
  const target = action.device;
  if (!target.registered || !target.up) {
    action.stats.overlimits++;
    return action.mode === 'redirect' && target.registered ? TC_ACT_SHOT : action.action;
  }
  forward(net, target, net.skbs.clone(skb), action.direction === 'ingress' ? BPF_F_INGRESS : 0);
  return action.action;
}

/** `tcf_bpf_act`. */
export function bpfVerdict(ret: number, otherwise: number): number {
  switch (ret) {
    case TC_ACT_PIPE:
    case TC_ACT_RECLASSIFY:
    case TC_ACT_OK:
    case TC_ACT_REDIRECT:
    case TC_ACT_SHOT:
      return ret;
    case TC_ACT_UNSPEC:
      return otherwise;
    default:
      return TC_ACT_UNSPEC;
  }
}

/** The chain that a code says to go on with; undefined where it says something else. */
export function gotoChain(code: number): number | undefined {
  return (code & EXT_MASK) === TC_ACT_GOTO_CHAIN ? code & ~EXT_MASK : undefined;
}

/** The same action in a fork. */
export function twinAction(action: TcAction, fork: Fork): TcAction {
  const stats = { ...action.stats };
  if (action.kind === 'mirred') return { ...action, stats, device: fork.twin(action.device) };
  if (action.kind === 'bpf') return { ...action, stats, prog: fork.twin(action.prog) };
  return { ...action, stats };
}
