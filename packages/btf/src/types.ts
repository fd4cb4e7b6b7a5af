/** The 19 kinds of BTF types, decoded. Field names follow include/uapi/linux/btf.h where it has one. */

export const BTF_MAGIC = 0xeb9f;
export const BTF_VERSION = 1;
export const BTF_MAX_TYPE = 0x000fffff;
export const BTF_MAX_NAME_OFFSET = 0x00ffffff;

/** Kind names by number; `VOID` is type 0, which has no record. */
export const BTF_KINDS = [
  'VOID',
  'INT',
  'PTR',
  'ARRAY',
  'STRUCT',
  'UNION',
  'ENUM',
  'FWD',
  'TYPEDEF',
  'VOLATILE',
  'CONST',
  'RESTRICT',
  'FUNC',
  'FUNC_PROTO',
  'VAR',
  'DATASEC',
  'FLOAT',
  'DECL_TAG',
  'TYPE_TAG',
  'ENUM64',
] as const;
export type BtfKind = (typeof BTF_KINDS)[number];

export const BTF_INT_SIGNED = 1;
export const BTF_INT_CHAR = 2;
export const BTF_INT_BOOL = 4;

export const BTF_FUNC_STATIC = 0;
export const BTF_FUNC_GLOBAL = 1;
export const BTF_FUNC_EXTERN = 2;

export const BTF_VAR_STATIC = 0;
export const BTF_VAR_GLOBAL_ALLOCATED = 1;
export const BTF_VAR_GLOBAL_EXTERN = 2;

/** What every type has. */
export interface BtfCommon<K extends BtfKind> {
  readonly kind: K;
  /** Id of the type; ids of split BTF go on after those of its base. */
  readonly id: number;
  /** Empty where the type is anonymous. */
  readonly name: string;
}

export type BtfVoid = BtfCommon<'VOID'>;
export interface BtfInt extends BtfCommon<'INT'> {
  /** Bytes. */
  readonly size: number;
  /** BTF_INT_SIGNED | BTF_INT_CHAR | BTF_INT_BOOL. */
  readonly encoding: number;
  /** First bit of the value inside the storage. */
  readonly bit_offset: number;
  readonly bits: number;
}
export interface BtfPtr extends BtfCommon<'PTR'> {
  readonly type: number;
}
export interface BtfArray extends BtfCommon<'ARRAY'> {
  readonly type: number;
  readonly index_type: number;
  readonly nelems: number;
}
export interface BtfMember {
  readonly name: string;
  readonly type: number;
  /** Bits from the start of the structure. */
  readonly bit_offset: number;
  /** Bits; 0 where the member is no bit field (or is one in the old form, by its INT's own bit count). */
  readonly bitfield_size: number;
}
export interface BtfStruct extends BtfCommon<'STRUCT' | 'UNION'> {
  readonly size: number;
  readonly members: readonly BtfMember[];
}
export interface BtfEnumValue {
  readonly name: string;
  readonly value: bigint;
}
export interface BtfEnum extends BtfCommon<'ENUM' | 'ENUM64'> {
  readonly size: number;
  readonly signed: boolean;
  readonly values: readonly BtfEnumValue[];
}
export interface BtfFwd extends BtfCommon<'FWD'> {
  readonly union: boolean;
}
export interface BtfModifier extends BtfCommon<'TYPEDEF' | 'VOLATILE' | 'CONST' | 'RESTRICT' | 'TYPE_TAG'> {
  readonly type: number;
}
export interface BtfFunc extends BtfCommon<'FUNC'> {
  /** Id of the FUNC_PROTO. */
  readonly type: number;
  /** BTF_FUNC_STATIC, BTF_FUNC_GLOBAL or BTF_FUNC_EXTERN. */
  readonly linkage: number;
}
export interface BtfParam {
  readonly name: string;
  /** 0 with an empty name as the last parameter means `...`. */
  readonly type: number;
}
export interface BtfFuncProto extends BtfCommon<'FUNC_PROTO'> {
  /** Return type. */
  readonly type: number;
  readonly params: readonly BtfParam[];
}
export interface BtfVar extends BtfCommon<'VAR'> {
  readonly type: number;
  /** BTF_VAR_STATIC, BTF_VAR_GLOBAL_ALLOCATED or BTF_VAR_GLOBAL_EXTERN. */
  readonly linkage: number;
}
export interface BtfVarSecinfo {
  /** Id of a VAR (or of a FUNC, in the sections that libbpf makes for externs). */
  readonly type: number;
  readonly offset: number;
  readonly size: number;
}
export interface BtfDatasec extends BtfCommon<'DATASEC'> {
  readonly size: number;
  readonly vars: readonly BtfVarSecinfo[];
}
export interface BtfFloat extends BtfCommon<'FLOAT'> {
  readonly size: number;
}
export interface BtfDeclTag extends BtfCommon<'DECL_TAG'> {
  readonly type: number;
  /** Index of the member or parameter; -1 for the type itself. */
  readonly component_idx: number;
}

export type BtfType =
  | BtfVoid
  | BtfInt
  | BtfPtr
  | BtfArray
  | BtfStruct
  | BtfEnum
  | BtfFwd
  | BtfModifier
  | BtfFunc
  | BtfFuncProto
  | BtfVar
  | BtfDatasec
  | BtfFloat
  | BtfDeclTag;
