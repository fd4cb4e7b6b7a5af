/** Everything public of `libbpf-ts`, spelt out. */

export { attachWithoutLink, detachWithoutLink } from './attach.ts';
export type { AttachOptions } from './attach.ts';
export { Link } from './bpf-link.ts';
export type { LinkInfo } from './bpf-link.ts';
export { BpfError, isBpfError, isLoaderError, isVerifierError, lastLine, LoaderError, VerifierError } from './errors.ts';
export type { BpfErrorOptions, LoaderErrorCode, LoaderPlace, SourceLine, VerifierDiagnostic } from './errors.ts';
export { createKernel, InProcessKernel } from './facade.ts';
export type { CreateKernelOptions } from './facade.ts';
export { globalsOf, withGlobals } from './globals.ts';
export type { GlobalValues } from './globals.ts';
export { Handle } from './handle.ts';
export { cgroup, customHook, linkId, netkit, progId, tcx, xdp } from './hook.ts';
export type { Anchor, CustomHookPlace, Hook, HookEntry, HookState, Ref } from './hook.ts';
export { DEFAULT_KCONFIG, DEFAULT_KERNEL_VERSION, parseKconfig } from './kconfig.ts';
export type { KconfigOptions } from './kconfig.ts';
export { fetchBtf, fetchKernelBtf } from './kernel-btf.ts';
export type { LinkedProgram } from './link.ts';
export { isRefusal, Loading } from './load.ts';
export type { CustomSection, LoadOptions } from './load.ts';
export { BpfMap, possibleCpus } from './map.ts';
export type { MapInput } from './map.ts';
export { BpfObject, load, loadEach, selectProgram } from './object.ts';
export type { ProgramResult } from './object.ts';
export { parseObject } from './parse.ts';
export type { ParseOptions } from './parse.ts';
export { Program, programTypeName, sourceOf } from './program.ts';
export type { TestRunOptions, TestRunResult } from './program.ts';
export { guessSectionKind, sectionKind } from './sections.ts';
export type { GuessContext } from './sections.ts';
export { generateSkeleton } from './skeleton.ts';
export type { SkeletonOptions } from './skeleton.ts';
export { RingBuffer, UserRingBuffer } from './ringbuf.ts';
export type { RingBufferOptions } from './ringbuf.ts';
export { trafficControl } from './tc.ts';
export type { TrafficControl } from './tc.ts';
export { StructOps } from './struct-ops-map.ts';
export type {
  ExternSpec,
  Fault,
  MapOrigin,
  MapSpec,
  ObjectSpec,
  ProgramRelocation,
  ProgramSpec,
  RelocationTarget,
  SectionKind,
  StructOpsSpec,
} from './spec.ts';
export type { Syscalls } from '@libbpf-ts/uapi';
