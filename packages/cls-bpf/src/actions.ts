/** Actions behind a filter that matched. Their rules are those of net/sched/act_api.c, act_gact.c, act_mirred.c and act_bpf.c as documented in tc-actions(8). */

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
  TC_ACT_STOLEN,
  TC_ACT_UNSPEC,
} from '@libbpf-ts/uapi';

/** TC_ACT_GOTO_CHAIN with the chain's number in its low bits. */
export const TC_ACT_GOTO_CHAIN = 0x2000_0000;
const EXT_MASK = 0xf000_0000 | 0;
/** Repetitions before a packet is dropped. */
const MAX_REPEAT = 32;

export interface ActionStats {
  packets: number;
  bytes: number;
  drops: number;
}

/** One action. `stats` counts what it saw. */
export type TcAction =
  /** gact: a verdict of its own. */
  | { readonly kind: 'gact'; readonly action: number; readonly stats: ActionStats }
  /** mirred: sends the packet (redirect) or a copy (mirror) to a device; then `action`, which for a redirect is TC_ACT_STOLEN. */
  | {
      readonly kind: 'mirred';
      readonly mode: 'redirect' | 'mirror';
      readonly direction: 'egress' | 'ingress';
      readonly device: NetDevice;
      readonly action: number;
      readonly stats: ActionStats;
    }
  /** act_bpf: a program decides; TC_ACT_UNSPEC from it means `action`. */
  | { readonly kind: 'bpf'; readonly prog: BpfProg; readonly action: number; readonly stats: ActionStats };

/** What the actions decided: a TC_ACT_* code. Without actions a match is TC_ACT_OK. `taken` is true where the packet went elsewhere. */
export function runActions(actions: readonly TcAction[], skb: Skb, device: NetDevice): number {
  let code = TC_ACT_OK;
  for (const action of actions) {
    let repeats = 0;
    do {
      if (repeats++ > MAX_REPEAT) return TC_ACT_SHOT;
      action.stats.packets++;
      action.stats.bytes += skb.len;
      code = runAction(action, skb, device);
    } while (code === TC_ACT_REPEAT);
    if (code === TC_ACT_SHOT) action.stats.drops++;
    if (code !== TC_ACT_PIPE) return code;
  }
  return code;
}

function runAction(action: TcAction, skb: Skb, device: NetDevice): number {
  if (action.kind === 'gact') return action.action;
  if (action.kind === 'bpf') return bpfVerdict(action.prog.run(skb.address), action.action);
  const { net } = device;
  const target = action.device;
  if (!target.registered || !target.up) return action.mode === 'redirect' ? TC_ACT_SHOT : action.action;
  forward(net, target, net.skbs.clone(skb), action.direction === 'ingress' ? BPF_F_INGRESS : 0);
  return action.mode === 'redirect' ? TC_ACT_STOLEN : action.action;
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
