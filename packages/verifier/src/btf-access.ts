/** Loads through pointers to kernel types: the type at the offset decides what the load gives (`btf_struct_access`). */

import type { Env } from './env.ts';
import { isLocalObject, recordOf } from './managed.ts';
import { type Access, FIELD_TEXT } from './memory.ts';
import { markPointer, type Reg } from './register.ts';
import * as T from './regtype.ts';
import { isConstOffset, tnumText } from './stack.ts';
import type { BtfTypeView, VerifierBtf } from './types.ts';

/** A type without typedefs, qualifiers and type tags. */
export function skipModifiers(
  btf: VerifierBtf,
  id: number,
): { readonly id: number; readonly type: BtfTypeView | undefined; readonly tags: readonly string[] } {
  const tags: string[] = [];
  let type = btf.type(id);
  while (type && MODIFIERS.has(type.kind)) {
    if (type.kind === 'TYPE_TAG') tags.push(type.name);
    id = type.type;
    type = btf.type(id);
  }
  return { id, type, tags };
}

const MODIFIERS: ReadonlySet<string> = new Set(['TYPEDEF', 'VOLATILE', 'CONST', 'RESTRICT', 'TYPE_TAG']);

export function writeBtfPointer(env: Env, reg: Reg, access: Access, off: number): never | void {
  const name = reg.btf?.type(reg.btfId)?.name ?? '';
  checkPreconditions(env, reg, access, off, name);
  if (isLocalObject(reg.type)) {
    if (reg.type & T.PTR_UNTRUSTED) env.refuse('EACCES', 'only read is supported');
    return accessLocalObject(env, reg, access, off);
  }
  const allowed = env.ops.btfStructAccess?.(name, off, access.size, env.facts);
  if (allowed === true) return;
  if (typeof allowed === 'string') env.refuse('EACCES', allowed);
  env.refuse('EACCES', 'only read is supported');
}

function checkPreconditions(env: Env, reg: Reg, access: Access, off: number, name: string): void {
  const { regno } = access;
  if (!env.allowPtrLeaks) env.refuse('EPERM', `'struct ${name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN`);
  if (!env.facts.gplCompatible && reg.btf?.kernel) {
    env.refuse('EINVAL', "Cannot access kernel 'struct " + name + "' from non-GPL compatible program");
  }
  if (off < 0) env.refuse('EACCES', `R${regno} is ptr_${name} invalid negative access: off=${off}`);
  if (!isConstOffset(reg) || (reg.vh | reg.vl) !== 0) {
    env.refuse('EACCES', `R${regno} is ptr_${name} invalid variable offset: off=${off}, var_off=${tnumText(reg)}`);
  }
  if (reg.type & T.MEM_USER) {
    env.refuse('EACCES', `R${regno} is ptr_${name} access user memory: off=${off}`);
  }
  if (reg.type & T.MEM_PERCPU) {
    env.refuse('EACCES', `R${regno} is ptr_${name} access percpu memory: off=${off}`);
  }
}

export function readBtfPointer(env: Env, reg: Reg, access: Access, off: number): void {
  const name = reg.btf?.type(reg.btfId)?.name ?? '';
  checkPreconditions(env, reg, access, off, name);
  if (!reg.btf) return env.unsupported('a kernel pointer without a type');
  const trust = reg.refObjId ? T.PTR_TRUSTED : 0;
  if (!((reg.type | trust) & (T.PTR_TRUSTED | T.MEM_RCU | T.MEM_ALLOC)) || reg.type & T.PTR_UNTRUSTED)
    env.probeLoads.add(env.insnIdx);
  if (isLocalObject(reg.type)) return accessLocalObject(env, reg, access, off);
  walkStruct(env, reg.btf, reg.btfId, off, access.size, access.value, reg.type | trust);
}

/** An object of the program's own type: numbers only, and clear of the fields that the kernel manages. */
function accessLocalObject(env: Env, reg: Reg, access: Access, off: number): void {
  for (const field of recordOf(reg) ?? []) {
    if (off < field.offset + field.size && field.offset < off + access.size) {
      env.refuse('EACCES', `direct access to ${FIELD_TEXT[field.type]} is disallowed`);
    }
  }
  const found = findAt(env, reg.btf!, reg.btfId, off, access.size, reg.type);
  if (access.write || access.value < 0) return;
  const loaded = env.reg(access.value);
  if (found.opaque) markPointer(loaded, T.PTR_TO_MEM | T.MEM_RDONLY | T.PTR_UNTRUSTED);
  else env.markUnknown(loaded);
}

/** What lies at an offset of a struct. */
interface Found {
  readonly scalar: boolean;
  /** Pointer to this struct; 0 for one to anything else: memory that is only read, and with care. */
  readonly target: number;
  readonly tags: readonly string[];
  readonly fieldName: string;
  /** One of several that share the place: which one is there is not known. */
  readonly inUnion?: boolean;
  /** A pointer to something that is no struct: it may be read through, and what is read is not to be trusted. */
  readonly opaque?: boolean;
}

/** Loads `size` bytes at `off` of a struct into register `value`. */
export function walkStruct(
  env: Env,
  btf: VerifierBtf,
  structId: number,
  off: number,
  size: number,
  value: number,
  fromType: number,
): void {
  const found = findAt(env, btf, structId, off, size, fromType);
  if (value < 0) return;
  const reg = env.reg(value);
  if (found.opaque) return markPointer(reg, T.PTR_TO_MEM | T.MEM_RDONLY | T.PTR_UNTRUSTED);
  if (found.scalar) return env.markUnknown(reg);
  markPointer(reg, T.PTR_TO_BTF_ID | pointerFlags(env, btf, structId, fromType, found));
  reg.btf = btf;
  reg.btfId = found.target;
  if (T.mayBeNull(reg.type)) reg.id = env.nextId();
}

/** Fields that stay trusted or RCU-protected when read through a trusted pointer, as the kernel lists them. */
const RCU_FIELDS: Readonly<Record<string, readonly string[]>> = {
  task_struct: ['cpus_ptr', 'css_set', 'cgroups', 'real_parent', 'group_leader'],
  cgroup: ['kn'],
  css_set: ['dfl_cgrp'],
};
const RCU_OR_NULL_FIELDS: Readonly<Record<string, readonly string[]>> = {
  mm_struct: ['exe_file'],
  sk_buff: ['sk'],
  request_sock: ['sk'],
};
const TRUSTED_FIELDS: Readonly<Record<string, readonly string[]>> = {
  bpf_iter_meta: ['seq'],
  bpf_iter__task: ['meta', 'task'],
  linux_binprm: ['file'],
  file: ['f_inode'],
  dentry: ['d_inode'],
  bpf_iter__bpf_map: ['meta', 'map'],
};
const TRUSTED_OR_NULL_FIELDS: Readonly<Record<string, readonly string[]>> = {
  socket: ['sk'],
  vm_area_struct: ['vm_mm', 'vm_file'],
};

/** How far the pointer found is to be trusted, by how far the one is that led there (`check_ptr_to_btf_access`). */
function pointerFlags(env: Env, btf: VerifierBtf, structId: number, fromType: number, found: Found): number {
  const struct = btf.type(structId)?.name ?? '';
  const has = (table: Readonly<Record<string, readonly string[]>>): boolean =>
    table[struct]?.includes(found.fieldName) ?? false;
  let tagBits = 0;
  if (found.tags.includes('user')) tagBits |= T.MEM_USER;
  if (found.tags.includes('percpu')) tagBits |= T.MEM_PERCPU;
  if (found.tags.includes('rcu')) tagBits |= T.MEM_RCU;
  if (found.inUnion) tagBits |= T.PTR_UNTRUSTED;
  if (fromType & T.PTR_UNTRUSTED) return T.PTR_UNTRUSTED;
  const isTrusted = (fromType & T.PTR_TRUSTED) !== 0;
  if (!isTrusted && !(fromType & T.MEM_RCU)) return tagBits & ~T.MEM_RCU;
  if (isTrusted && has(TRUSTED_FIELDS)) return tagBits | T.PTR_TRUSTED;
  if (isTrusted && has(TRUSTED_OR_NULL_FIELDS)) return tagBits | T.PTR_TRUSTED | T.PTR_MAYBE_NULL;
  if (!rcuHeld(env) || T.mayBeNull(fromType)) return T.PTR_UNTRUSTED;
  if (has(RCU_FIELDS)) return tagBits | T.MEM_RCU;
  if (has(RCU_OR_NULL_FIELDS)) return (tagBits & ~T.PTR_UNTRUSTED) | T.MEM_RCU | T.PTR_MAYBE_NULL;
  if (tagBits & T.MEM_RCU) return tagBits | T.PTR_MAYBE_NULL;
  return tagBits;
}

/** Where the program may not sleep, RCU is held throughout (`in_rcu_cs`). */
export const rcuHeld = ({ cur }: Env): boolean => cur.activeRcuLocks > 0 || cur.activeLocks > 0 || !cur.inSleepable;

function findAt(env: Env, btf: VerifierBtf, structId: number, off: number, size: number, fromType: number): Found {
  const scalar: Found = { scalar: true, target: 0, tags: [], fieldName: '' };
  const struct = btf.type(structId);
  if (!struct) return env.unsupported('a pointer to an unknown type');
  if (struct.kind !== 'STRUCT' && struct.kind !== 'UNION') env.refuse('EINVAL', `Type '${struct.name}' is not a struct`);
  const last = struct.members[struct.members.length - 1];
  if (off + size > struct.size) {
    // Only a flexible array at the end may be read beyond the struct.
    const array = last && skipModifiers(btf, last.type).type;
    if (!(last && array?.kind === 'ARRAY' && array.nelems === 0 && off >= struct.size)) {
      env.refuse('EACCES', `access beyond struct ${struct.name || '(anon)'} at off ${off} size ${size}`);
    }
    return scalar;
  }
  for (const member of struct.members) {
    const begin = member.bitOffset >> 3;
    const view = skipModifiers(btf, member.type);
    if (!view.type) continue;
    const bytes = sizeOf(btf, member.type);
    if (member.bitSize && (member.bitOffset & 7 || member.bitSize & 7)) {
      if (off + size <= begin) break;
      if (off >= begin && off < (member.bitOffset + member.bitSize + 7) >> 3) return scalar;
      continue;
    }
    if (off + size <= begin && struct.kind === 'STRUCT') break;
    if (bytes === 0 || off >= begin + bytes || off + size <= begin) continue;
    return findInMember(env, btf, struct, member.name, view, off - begin, size, bytes, fromType, begin);
  }
  return env.refuse('EINVAL', `struct ${struct.name} doesn't have field at offset ${off}`);
}

function findInMember(
  env: Env,
  btf: VerifierBtf,
  struct: BtfTypeView,
  fieldName: string,
  view: { readonly id: number; readonly type: BtfTypeView | undefined; readonly tags: readonly string[] },
  off: number,
  size: number,
  bytes: number,
  fromType: number,
  begin: number,
): Found {
  const scalar: Found = { scalar: true, target: 0, tags: [], fieldName };
  const type = view.type!;
  if (type.kind === 'STRUCT' || type.kind === 'UNION') {
    const inner = findAt(env, btf, view.id, off, size, fromType);
    // A union of one member (as __bpf_md_ptr makes) holds nothing else.
    return type.kind === 'UNION' && type.members.length !== 1 ? { ...inner, inUnion: true } : inner;
  }
  if (type.kind === 'ARRAY') {
    const element = skipModifiers(btf, type.type);
    const each = sizeOf(btf, type.type);
    if (element.type && (element.type.kind === 'STRUCT' || element.type.kind === 'UNION') && each > 0) {
      return findAt(env, btf, element.id, off % each, size, fromType);
    }
    if (element.type?.kind === 'PTR' && each > 0)
      return pointerAt(env, btf, element.type, { off: off % each, begin: begin + off - (off % each), size }, fieldName, struct);
    checkMemberEnd(env, struct, fieldName, begin, bytes, off, size, fromType);
    return scalar;
  }
  if (type.kind === 'PTR') return pointerAt(env, btf, type, { off, begin, size }, fieldName, struct);
  checkMemberEnd(env, struct, fieldName, begin, bytes, off, size, fromType);
  return scalar;
}

/** A number is read inside its member, which may be an array of them. */
function checkMemberEnd(
  env: Env,
  struct: BtfTypeView,
  name: string,
  begin: number,
  bytes: number,
  off: number,
  size: number,
  fromType: number,
): void {
  if (off + size <= bytes || fromType & T.PTR_UNTRUSTED) return;
  env.refuse(
    'EACCES',
    `access beyond the end of member ${name} (mend:${begin + bytes}) in struct ${struct.name} with off ${begin + off} size ${size}`,
  );
}

function pointerAt(
  env: Env,
  btf: VerifierBtf,
  pointer: BtfTypeView,
  { off, begin, size }: { readonly off: number; readonly begin: number; readonly size: number },
  fieldName: string,
  struct: BtfTypeView,
): Found {
  if (size !== 8 || off !== 0) {
    env.refuse(
      'EACCES',
      `cannot access ptr member ${fieldName} with moff ${begin} in struct ${struct.name} with off ${begin + off} size ${size}`,
    );
  }
  const target = skipModifiers(btf, pointer.type);
  if (target.type?.kind !== 'STRUCT' && target.type?.kind !== 'UNION')
    return { scalar: true, target: 0, tags: [], fieldName, opaque: true };
  return { scalar: false, target: target.id, tags: target.tags, fieldName };
}

/** Bytes of a type; 0 where it has none. */
export function sizeOf(btf: VerifierBtf, id: number): number {
  const { type } = skipModifiers(btf, id);
  switch (type?.kind) {
    case 'PTR':
      return 8;
    case 'ARRAY':
      return type.nelems * sizeOf(btf, type.type);
    case 'INT':
    case 'STRUCT':
    case 'UNION':
    case 'ENUM':
    case 'ENUM64':
    case 'FLOAT':
    case 'DATASEC':
      return type.size;
    case 'VAR':
      return sizeOf(btf, type.type);
    default:
      return 0;
  }
}
