/** BPF_BTF_LOAD. Mirrors bpf_btf_load and btf_parse. */

import { checkBtf } from '@libbpf-ts/btf';
import { BPF_F_TOKEN_FD, BpfBtfLoadAttr, KernelError } from '@libbpf-ts/uapi';

import { BtfObject } from '../btf-object.ts';
import type { BpfCall } from '../call.ts';
import { LogBuffer } from './log-buffer.ts';
import { refuseToken } from './map-create.ts';

const MAX_SIZE = 16 * 1024 * 1024;

/** Returns the fd of the new BTF object. */
export function btfLoad(call: BpfCall<18>): number {
  const { attr, kernel, task } = call;
  call.checkEnd(BpfBtfLoadAttr.end);
  if ((attr.btf_flags & ~BPF_F_TOKEN_FD) !== 0) throw new KernelError('EINVAL', 'unknown btf_flags', 'btf_flags');
  if ((attr.btf_flags & BPF_F_TOKEN_FD) !== 0) refuseToken(call, attr.btf_token_fd, 'btf_token_fd');
  if (!task.capabilities.bpf && !task.capabilities.sysAdmin) throw new KernelError('EPERM', 'loading BTF needs CAP_BPF');
  if (attr.btf_size > MAX_SIZE) throw new KernelError('E2BIG', 'BTF has at most 16 MiB', 'btf_size');
  const log = new LogBuffer(call, attr.btf_log_level, attr.btf_log_buf, attr.btf_log_size, 'btf_log');
  const bytes = call.read(attr.btf, attr.btf_size, 'btf');
  const verdict = checkBtf(bytes);
  if (!verdict.ok) log.write(verdict.detail);
  const outcome = log.finish();
  if (call.size >= BpfBtfLoadAttr.offsetOf('btf_log_true_size') + 4) call.put('btf_log_true_size', outcome.trueSize);
  if (!verdict.ok && !outcome.error) throw new KernelError(verdict.errno, verdict.detail, 'btf');
  if (outcome.error) throw outcome.error;
  const object = new BtfObject(kernel, () => bytes);
  const records = object.structRecords;
  if (!records.ok) {
    object.abandon();
    throw new KernelError(
      records.errno,
      'a structure has fields that the kernel manages, and they are not as it takes them',
      'btf',
    );
  }
  kernel.btfs.add(object);
  return task.installObject(object);
}
