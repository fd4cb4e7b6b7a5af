/** Helpers that ask which process runs: the task inside a syscall, or none. */

import type { BpfMap, Kernel } from '@libbpf-ts/kernel';
import {
  BPF_FUNC_current_task_under_cgroup,
  BPF_FUNC_get_current_ancestor_cgroup_id,
  BPF_FUNC_get_current_cgroup_id,
  BPF_FUNC_get_current_comm,
  BPF_FUNC_get_current_pid_tgid,
  BPF_FUNC_get_current_task,
  BPF_FUNC_get_current_uid_gid,
  BPF_FUNC_get_ns_current_pid_tgid,
} from '@libbpf-ts/uapi';

import { zeroBytes } from '../bytes.ts';
import { cgroupAt } from '../cgroup-array.ts';
import { EINVAL } from '../errno.ts';
import { helper, type HelperRow } from './define.ts';

/** TASK_COMM_LEN less the NUL. */
const COMM = 15;
/** The id of the root of the cgroup hierarchy, in which every task is. */
const ROOT_CGROUP = 1n;

export const taskHelpers: readonly HelperRow[] = [
  helper(BPF_FUNC_get_current_pid_tgid, 'bpf_get_current_pid_tgid', [], 'u64', (kernel) => () => {
    const pid = kernel.current?.task?.id ?? 0;
    kernel.runtime.returnHigh.value = pid;
    return pid;
  }),
  helper(BPF_FUNC_get_current_uid_gid, 'bpf_get_current_uid_gid', [], 'u64', (kernel) => () => {
    const uid = kernel.current?.task?.uid ?? 0;
    // A task's group has the number of its user.
    kernel.runtime.returnHigh.value = uid;
    return uid;
  }),
  helper(
    BPF_FUNC_get_current_comm,
    'bpf_get_current_comm',
    ['u32', 'u32'],
    's32',
    (kernel) => (buffer, size) => writeComm(kernel, buffer! >>> 0, size! >>> 0),
  ),
  // There is no task_struct in the arena; NULL is what bpf_probe_read refuses.
  helper(BPF_FUNC_get_current_task, 'bpf_get_current_task', [], 'u32', () => () => 0),
  helper(BPF_FUNC_get_current_cgroup_id, 'bpf_get_current_cgroup_id', [], 'u32', () => () => Number(ROOT_CGROUP)),
  helper(
    BPF_FUNC_get_current_ancestor_cgroup_id,
    'bpf_get_current_ancestor_cgroup_id',
    ['u32'],
    'u32',
    () => (level) => (level === 0 ? Number(ROOT_CGROUP) : 0),
  ),
  helper(
    BPF_FUNC_current_task_under_cgroup,
    'bpf_current_task_under_cgroup',
    ['u32', 'u32'],
    's32',
    (kernel) => (address, index) => {
      const found = cgroupAt(kernel.mapAt(address!) as BpfMap, index! >>> 0);
      return typeof found === 'number' ? found : Number(found.cgroupId === ROOT_CGROUP);
    },
  ),
  helper(
    BPF_FUNC_get_ns_current_pid_tgid,
    'bpf_get_ns_current_pid_tgid',
    ['u64', 'u64', 'u32', 'u32'],
    's32',
    (kernel) => (_devLow, _devHigh, _inoLow, _inoHigh, data, size) => {
      // No pid namespace has a device and inode here, so none can be named.
      zeroBytes(kernel.arena, data! >>> 0, size! >>> 0);
      return -EINVAL;
    },
  ),
];

function writeComm(kernel: Kernel, buffer: number, size: number): number {
  const name = kernel.current?.task?.name ?? 'swapper/0';
  const { u8 } = kernel.arena;
  const length = Math.min(name.length, COMM, size - 1);
  for (let index = 0; index < size; index++) u8[buffer + index] = index < length ? name.charCodeAt(index) : 0;
  return 0;
}
