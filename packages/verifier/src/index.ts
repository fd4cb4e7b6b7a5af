/** Everything public of `@libbpf-ts/verifier`, spelt out. */

export { adaptBtf } from './adapt-btf.ts';
export type { Diagnostic, SourceLine, StoryStep } from './diagnostics.ts';
export type { CtxAccess, CtxArgInfo, ProgFacts, RegTypeName, ReturnRange, VerifierOps } from './ops.ts';
export type {
  ArgBaseType,
  ArgType,
  BpfFuncProto,
  BtfField,
  BtfKindName,
  BtfMemberView,
  BtfTypeView,
  FuncInfo,
  KfuncRow,
  LineInfo,
  RetBaseType,
  RetType,
  TraceEvent,
  TypeFlag,
  VerifiedCall,
  VerifiedSubprogram,
  VerifierBtf,
  VerifierCapabilities,
  VerifierFailure,
  VerifierMap,
  VerifierRequest,
  VerifierResult,
  VerifierStats,
  VerifierSuccess,
} from './types.ts';
export { Verifier, verify, verifyAsync } from './verifier.ts';
export type { VerifierProgress, VerifyAsyncOptions, VerifyBudget } from './verifier.ts';
