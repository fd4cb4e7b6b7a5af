/** The one file here that knows a kernel: it composes the in-process one, so that one import is enough. */

export { createKernel, InProcessKernel } from '@libbpf-ts/vmlinux';
export type { CreateKernelOptions } from '@libbpf-ts/vmlinux';
