/** Everything public of `@libbpf-ts/vmlinux`, spelt out. */

export { createKernel, defaultSubsystems, InProcessKernel } from './create-kernel.ts';
export type { CreateKernelOptions } from './create-kernel.ts';
