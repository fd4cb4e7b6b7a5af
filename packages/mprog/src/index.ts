/** Everything public of `@libbpf-ts/mprog`, spelt out. */

export { attach, detach, emptyList, MPROG_CAPACITY } from './list.ts';
export type { Anchor, MprogAttach, MprogDetach, MprogItem, MprogList } from './list.ts';
export { ArrayPool, MAX_NESTED_WALKS, MPROG_ARRAY, ProgArrays } from './arrays.ts';
export type { FastProg } from './arrays.ts';
export { TRACE_RECORD_SIZE, TRACE_RING_HEADER, walkModule } from './walk-module.ts';
export type { WalkRule } from './walk-module.ts';
export { installWalk, Walker } from './walker.ts';
export type { WalkSlots } from './walker.ts';
export { TraceRing } from './trace-ring.ts';
export type { TraceStep } from './trace-ring.ts';
export { arrayPool, MprogHook } from './hook.ts';
export type { CommitCheck, HookList, HookRequest } from './hook.ts';
export { answerQuery } from './query.ts';
export { resolveRelative } from './relative.ts';
export type { PlaceRule } from './hook.ts';
export { attachBounded, BOUND_FLAGS, BPF_F_FIRST, BPF_F_LAST } from './bounds.ts';
export { defineHook, FIRST_PRIVATE_NUMBER } from './define-hook.ts';
export type { CustomHook, HookDefinition } from './define-hook.ts';
export type { ContextOptions } from './hook-context.ts';
export { HookPoint } from './hook-point.ts';
export type { HookRun, PlacePolicy, Proposal } from './hook-point.ts';
