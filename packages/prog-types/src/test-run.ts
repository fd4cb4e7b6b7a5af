/** BPF_PROG_TEST_RUN of programs that get a context and no packet. Mirrors bpf_prog_test_run_raw_tp and bpf_prog_test_run_syscall. */

import type { BpfCall, BpfProg } from '@libbpf-ts/kernel';
import { BPF_F_TEST_RUN_ON_CPU, KernelError, type RawBpfAttr } from '@libbpf-ts/uapi';

const MAX_BPF_FUNC_ARGS = 12;
const U16_MAX = 0xffff;

type TestAttr = RawBpfAttr<10>;

function refuseAny(attr: TestAttr, fields: readonly (keyof TestAttr & string)[], what: string): void {
  const given = fields.find((field) => attr[field] !== 0 && attr[field] !== 0n);
  if (given !== undefined) throw new KernelError('EINVAL', `${given} is not for ${what} programs`, given);
}

/** Runs the program with a copy of the context in the arena; `after` sees the copy before it is given back. */
function withContext(call: BpfCall<10>, bytes: Uint8Array, run: (address: number) => void): Uint8Array {
  const { arena } = call.kernel;
  const address = arena.allocate(Math.max(bytes.length, 8), 8);
  try {
    arena.u8.set(bytes, address);
    run(address);
    return arena.u8.slice(address, address + bytes.length);
  } finally {
    arena.free(address);
  }
}

/** Runs a raw tracepoint program: the context is the array of its u64 arguments. */
export function testRunRawTracepoint(call: BpfCall<10>, prog: BpfProg): void {
  const { attr, kernel } = call;
  refuseAny(attr, ['data_in', 'data_out', 'ctx_out', 'duration', 'repeat', 'batch_size'], 'raw tracepoint');
  const least = prog.attributes.verified.maxCtxOffset;
  if (attr.ctx_size_in < least || attr.ctx_size_in > MAX_BPF_FUNC_ARGS * 8) {
    throw new KernelError('EINVAL', `the context has ${attr.ctx_size_in} bytes, the program reads ${least}`, 'ctx_size_in');
  }
  const onCpu = (attr.flags & BPF_F_TEST_RUN_ON_CPU) !== 0;
  if (!onCpu && attr.cpu !== 0) throw new KernelError('EINVAL', 'cpu is given without BPF_F_TEST_RUN_ON_CPU', 'cpu');
  const context = attr.ctx_size_in === 0 ? new Uint8Array(0) : call.read(attr.ctx_in, attr.ctx_size_in, 'ctx_in');
  if (onCpu && attr.cpu >= kernel.cpus) throw new KernelError('ENXIO', `there is no CPU ${attr.cpu}`, 'cpu');
  const before = kernel.runtime.cpu;
  if (onCpu) kernel.runtime.cpu = attr.cpu;
  try {
    withContext(call, context, (address) => call.put('retval', prog.run(address) >>> 0));
  } finally {
    kernel.runtime.cpu = before;
  }
}

/** Runs a syscall program: its context is memory of the caller's, read and written. */
export function testRunSyscall(call: BpfCall<10>, prog: BpfProg): void {
  const { attr } = call;
  refuseAny(attr, ['data_in', 'data_out', 'ctx_out', 'duration', 'repeat', 'flags', 'batch_size'], 'syscall');
  const least = prog.attributes.verified.maxCtxOffset;
  if (attr.ctx_size_in < least || attr.ctx_size_in > U16_MAX) {
    throw new KernelError(
      'EINVAL',
      `the context has ${attr.ctx_size_in} bytes, the program reaches to ${least}`,
      'ctx_size_in',
    );
  }
  const context = attr.ctx_size_in === 0 ? new Uint8Array(0) : call.read(attr.ctx_in, attr.ctx_size_in, 'ctx_in');
  const after = withContext(call, context, (address) => call.put('retval', prog.run(address) >>> 0));
  if (after.length > 0) call.write(attr.ctx_in, after, 'ctx_in');
}
