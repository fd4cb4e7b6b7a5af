/**
 * The failed check in words, where a kernel gives an errno only: what the errno means for this request. The in-process kernel tells its own
 * reason, and then nothing here is asked.
 */

import { errnoName, type FilterRequest } from '@libbpf-ts/uapi';
import type { AttachOptions } from './attach.ts';
import { isBpfError } from './errors.ts';
import type { Hook } from './hook.ts';

export interface Reason {
  readonly arg: string;
  readonly words?: string;
}

/** Why a hook did not take a program. Asks the hook for its revision where that is what was refused. */
export function whyNotAttached(hook: Hook, options: AttachOptions, errno: number): Reason | undefined {
  const { before, after, replace, expectedRevision } = options;
  switch (errnoName(errno)) {
    case 'ESTALE':
      return {
        arg: 'expected_revision',
        words: `the hook is at revision ${revisionOf(hook)}, expected ${expectedRevision ?? 0n}`,
      };
    case 'EEXIST':
      return { arg: 'prog_fd', words: 'the program is on this hook already' };
    case 'ENODEV':
      return { arg: 'target_ifindex', words: `no device has the ifindex ${hook.target}` };
    case 'ENOENT':
      if (replace) return { arg: 'replace_bpf_fd', words: 'the program to act on is not on this hook' };
      return before || after
        ? { arg: 'relative_fd', words: 'the program or link to stand next to does not exist or is not on this hook' }
        : { arg: 'prog_fd', words: 'the program is not on this hook' };
    case 'EBUSY':
      return { arg: 'prog_fd', words: 'it belongs to a link, and only its owner may change it' };
    case 'ERANGE':
      return { arg: 'attach_flags', words: 'the hook is full, or the places that were named do not agree' };
    case 'EINVAL':
      return options.flags
        ? { arg: 'attach_flags', words: `flags 0x${options.flags.toString(16)} do not stand alone here` }
        : undefined;
    default:
      return undefined;
  }
}

function revisionOf(hook: Hook): string {
  try {
    return `${hook.query().revision}`;
  } catch (error) {
    if (isBpfError(error)) return 'unknown';
    throw error;
  }
}

/** Which argument the kernel's words are about. */
const BLAMED: ReadonlyMap<string, string> = new Map([
  ["Parent Qdisc doesn't exists", 'parent'],
  ["Specified class doesn't exist", 'parent'],
  ['Qdisc not classful', 'parent'],
  ['Failed to find specified qdisc', 'parent'],
  ['Block of given index was not found', 'block'],
  ['This filter block is shared. Please use the block index to manipulate the filters', 'ifindex'],
  ['Specified chain index exceeds upper limit', 'chain'],
  ['Cannot find specified filter chain', 'chain'],
  ['Invalid filter command with priority of zero', 'prio'],
  ['Filter with specified priority/protocol not found', 'prio'],
  ['Lowest ID from auto-alloc range already in use', 'prio'],
  ['Protocol mismatch for filter with specified priority', 'protocol'],
  ['Filter already exists', 'handle'],
  ['Specified filter handle not found', 'handle'],
  ['Invalid handle', 'handle'],
  ['Invalid minor handle', 'handle'],
  ['Need both RTM_NEWTFILTER and NLM_F_CREATE to create a new filter', 'create'],
  ['Specified filter kind does not match existing one', 'kind'],
  ['TC classifier not found', 'kind'],
  ['Specified qdisc kind is unknown', 'kind'],
  ['Invalid qdisc name: must match existing qdisc', 'kind'],
  ['Exclusivity flag on, cannot modify', 'kind'],
  ['Failed to load TC action module', 'actions'],
  ['invalid control action', 'actions'],
]);

const LONGEST_NAME = 256;

/** Why a kernel refused a request of traffic control, by its words or, without any, by what the errno means for the request. */
export function whyTcRefused(request: Partial<FilterRequest>, errno: number, extack: string | undefined): Reason | undefined {
  if (extack === 'Filter kind and protocol must be specified') return { arg: request.protocol === 0 ? 'protocol' : 'kind' };
  if (extack !== undefined) return blame(extack);
  switch (errnoName(errno)) {
    case 'ENODEV':
      return noDevice(request);
    case 'EBADF':
      return { arg: 'fd', words: `fd ${request.fd} is not open` };
    case 'EOPNOTSUPP':
      return { arg: 'flagsGen', words: 'no hardware here takes the filter' };
    case 'EINVAL':
      return invalid(request);
    default:
      return undefined;
  }
}

function blame(extack: string): Reason | undefined {
  const arg = BLAMED.get(extack) ?? (extack.startsWith('act_') ? 'actions' : undefined);
  return arg === undefined ? undefined : { arg };
}

function noDevice(request: Partial<FilterRequest>): Reason {
  const own = 'ifindex' in request ? `no device has the ifindex ${request.ifindex}` : 'no such device';
  const targets = (request.actions ?? []).flatMap((action) => (action.kind === 'mirred' ? [action.ifindex] : []));
  return { arg: 'ifindex', words: targets.length > 0 ? `${own}, or the ${targets.join(', ')} of its actions` : own };
}

/** The kernel's checks of a filter that it answers with EINVAL and no words, in its order. */
function invalid({ fd, ops, flags = 0, flagsGen = 0, name = '' }: Partial<FilterRequest>): Reason | undefined {
  if (new TextEncoder().encode(name).length > LONGEST_NAME)
    return { arg: 'name', words: `a name has at most ${LONGEST_NAME} bytes` };
  if ((fd === undefined) === (ops === undefined))
    return { arg: 'fd', words: 'a filter has either a program or classic instructions' };
  if (flags & ~1) return { arg: 'flags', words: `flags 0x${flags.toString(16)} are unknown` };
  if (flagsGen > 2) return { arg: 'flagsGen', words: 'flags_gen is skip_hw, skip_sw or neither' };
  if (ops !== undefined) return { arg: 'ops', words: 'the classic instructions are not valid' };
  return {
    arg: 'fd',
    words: `fd ${fd} is not a program of type sched_cls, or skip_hw and skip_sw differ from the filter there`,
  };
}
