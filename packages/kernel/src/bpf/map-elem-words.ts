/** Element commands answer with a number, since they are many and often miss. Why one refused is worked out when somebody asks. */

import { BPF_CMD_NAMES, errnoName, KernelError } from '@libbpf-ts/uapi';

import type { BpfMap } from '../map.ts';
import type { Task } from '../task.ts';

/** The refusal of an element command in words. */
export function explainElement(task: Task, cmd: number, fd: number, result: number): KernelError {
  const code = errnoName(result) ?? 'EINVAL';
  const object = task.file(fd)?.object;
  const map = object?.kind === 'map' ? (object as BpfMap) : undefined;
  const [detail, argument] = reason(task, code, fd, map);
  const subject = map ? ` on map ${map.id}${map.name === '' ? '' : ` (${map.name})`}` : '';
  return new KernelError(code, `${BPF_CMD_NAMES.get(cmd)}${subject}: ${detail}`, argument);
}

function reason(task: Task, code: string, fd: number, map: BpfMap | undefined): readonly [detail: string, argument: string] {
  if (!task.file(fd)) return [`fd ${fd} is not open`, 'map_fd'];
  if (!map) return [`fd ${fd} is no map`, 'map_fd'];
  switch (code) {
    case 'ENOENT':
      return ['there is no such key', 'key'];
    case 'EEXIST':
      return ['the key is there already', 'flags'];
    case 'E2BIG':
      return [`the map is full, or the key is beyond its ${map.maxEntries} entries`, 'key'];
    case 'EPERM':
      return [map.frozen ? 'the map is frozen' : 'the fd is read-only or write-only', 'map_fd'];
    case 'EFAULT':
      return [`the key has ${map.keySize} bytes and the value ${map.userValueSize}; a buffer is missing or shorter`, 'value'];
    case 'EINVAL':
      return ['the flags, or the key or value, are none that this map takes', 'flags'];
    case 'ENOTSUPP':
    case 'EOPNOTSUPP':
      return [`maps of type ${map.ops.name} do not have this command`, 'map_fd'];
    case 'ENOMEM':
      return ['no memory is left for the element', 'value'];
    default:
      return ['the map refuses', 'value'];
  }
}
