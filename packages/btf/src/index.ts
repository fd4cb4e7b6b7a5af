/** Everything public of `@libbpf-ts/btf`, spelt out. */

export { Btf, parseBtf } from './btf.ts';
export type { BtfHeader, ParseBtfOptions } from './btf.ts';
export { BtfBuilder } from './build.ts';
export type { BuildOptions, MemberSpec } from './build.ts';
export { checkBtf } from './check.ts';
export type { BtfVerdict } from './check.ts';
export type { BtfErrno } from './check-refusal.ts';
export { CORE_POISON_BASE, CoreResolver, patchCore } from './core.ts';
export type { CoreInsn, CoreRequest, CoreResult } from './core.ts';
export { fieldsAreCompatible, typesAreCompatible, typesMatch } from './core-compat.ts';
export { CORE_KINDS, coreSpecText } from './core-spec.ts';
export type { CoreAccessor, CoreKind, CoreSpec } from './core-spec.ts';
export { declare, dumpC } from './dump.ts';
export { BtfError, isBtfError } from './errors.ts';
export type { BtfErrorCode } from './errors.ts';
export { columnOf, lineOf, parseBtfExt } from './ext.ts';
export type { BtfExt, CoreRelocation, ExtSection, FuncInfo, LineInfo } from './ext.ts';
export { declTagsOf } from './fields.ts';
export { checkOwnership, MAP_FIELDS, parseRecord, structRecords } from './record.ts';
export type { FieldKind, KernelTypes, RecordErrno, RecordField, RecordResult } from './record.ts';
export { formatJson, formatText, jsonText, plainText } from './format.ts';
export { essentialName } from './name-index.ts';
export {
  BTF_FUNC_EXTERN,
  BTF_FUNC_GLOBAL,
  BTF_FUNC_STATIC,
  BTF_INT_BOOL,
  BTF_INT_CHAR,
  BTF_INT_SIGNED,
  BTF_KINDS,
  BTF_MAGIC,
  BTF_MAX_NAME_OFFSET,
  BTF_MAX_TYPE,
  BTF_VAR_GLOBAL_ALLOCATED,
  BTF_VAR_GLOBAL_EXTERN,
  BTF_VAR_STATIC,
  BTF_VERSION,
} from './types.ts';
export type {
  BtfArray,
  BtfCommon,
  BtfDatasec,
  BtfDeclTag,
  BtfEnum,
  BtfEnumValue,
  BtfFloat,
  BtfFunc,
  BtfFuncProto,
  BtfFwd,
  BtfInt,
  BtfKind,
  BtfMember,
  BtfModifier,
  BtfParam,
  BtfPtr,
  BtfStruct,
  BtfType,
  BtfVar,
  BtfVarSecinfo,
  BtfVoid,
} from './types.ts';
export { cStringOf, decodeValue, encodeValue, readBits, readInteger } from './value.ts';
export type { BtfValue } from './value.ts';
export { alignOf, bitfieldOf, findMember, sizeOf, skipModifiers, skipQualifiers, typeName } from './walk.ts';
export type { BitRange, FoundMember } from './walk.ts';
