/** Everything public of `@libbpf-ts/vm`, spelt out. */

export type {
  CallTarget,
  Fixups,
  HelperType,
  KnownMap,
  ReturnHigh,
  Subprogram,
  VmHelper,
  VmIntrinsic,
  VmProgram,
} from './program.ts';
export { Arena } from './arena.ts';
export type { ArenaOptions } from './arena.ts';
export { CELL } from './cells.ts';
export { FunctionTable } from './slots.ts';
export { MAP_HEADER, MAP_HEADER_SIZE } from './map-header.ts';
export type { MapHeaderField } from './map-header.ts';
export { isVmTrap, VmError, VmTrap } from './errors.ts';
export type { VmErrorReason, VmTrapPlace, VmTrapReason } from './errors.ts';
export type { BoundProgram, Engine, LoadOptions, PreparedProgram, ProgramSlots, Region } from './engine.ts';
export { VmRuntime } from './runtime.ts';
export type { InstalledModule, LoadedProgram, VmRuntimeOptions } from './runtime.ts';
export { defaultEngines } from './engines.ts';
export { jitEngine } from './jit/engine.ts';
export { firstTierEngine } from './tier/engine.ts';
export { tieredEngine } from './tier/tiered.ts';
export type { TieredOptions } from './tier/tiered.ts';
export { installRingbuf } from './ringbuf/install.ts';
export type { RingSlots } from './ringbuf/install.ts';
export { BUSY, DISCARD, MAX_RECORD, RECORD_HEADER, RING } from './ringbuf/layout.ts';
export { installMapLookups } from './map-lookup/install.ts';
export { hashKey } from './map-lookup/hash.ts';
export { findHashElement, findTrieNode, hashOfMapKey, matchingBits, sameBytes } from './map-lookup/twin.ts';
export {
  HASH_ELEMENT,
  hashElementLayout,
  LOOKUP_FIELDS,
  TRIE_INTERMEDIATE,
  TRIE_NODE,
  trieValueOffset,
} from './map-lookup/layout.ts';
export type { ElementLayout, MapLookupKind } from './map-lookup/layout.ts';
export { subprogramsOf } from './subprograms.ts';
export { interpreterEngine, paranoidEngine } from './interpreter/engine.ts';
export type { Guard, Watch } from './interpreter/program.ts';
export { Stepper } from './interpreter/stepper.ts';
export type { StackFrame, StepPlace, StopReason } from './interpreter/stepper.ts';
export { Sandbox, SandboxProgram } from './sandbox.ts';
export type { SandboxHelper, SandboxOptions, SandboxResult, SandboxRun } from './sandbox.ts';
