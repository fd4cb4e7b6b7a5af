/** ld_imm64 forms that name maps, functions and kernel symbols (`resolve_pseudo_ldimm64`), and reserved fields. */

import { opcodeOf } from '@libbpf-ts/isa';
import { BPF_MAP_TYPE_ARENA } from '@libbpf-ts/uapi';
import type { Env } from './env.ts';
import { checkMapForProgram } from './map-rules.ts';
import type { VerifierMap } from './types.ts';

const PSEUDO_MAP_FD = 1;
const PSEUDO_MAP_VALUE = 2;
const PSEUDO_BTF_ID = 3;
const PSEUDO_FUNC = 4;
const PSEUDO_MAP_IDX = 5;
const PSEUDO_MAP_IDX_VALUE = 6;
const MAX_VAR_OFF = 1 << 29;
const MAX_USED_MAPS = 64;

/** What a pseudo load puts into its register. */
export interface PseudoLoad {
  readonly kind: 'map' | 'map-value' | 'btf' | 'func';
  /** What the run will see: address of a map, of a byte of its value, or of a kernel symbol. */
  readonly address: bigint;
  readonly map?: VerifierMap;
  readonly off?: number;
  readonly btf_id?: number;
}

/** Resolves every pseudo load into `env.pseudoLoads`; refuses what is no instruction. */
export function resolvePseudoLoads(env: Env): void {
  const { insns } = env;
  for (let i = 0; i < insns.length; i++) {
    const insn = insns[i]!;
    const { code } = insn;
    if ((code & 7) === 1) {
      const mode = code & 0xe0;
      if ((mode !== 0x60 && mode !== 0x80) || insn.imm !== 0) env.refuse('EINVAL', 'BPF_LDX uses reserved fields');
    }
    if (code === 0x18) {
      resolveOne(env, i);
      i++;
    } else if (!isOpcode(code)) {
      env.refuse('EINVAL', `unknown opcode ${code.toString(16).padStart(2, '0')}`);
    }
  }
}

/** Is the code byte one that any instruction has, whatever its other fields? */
function isOpcode(code: number): boolean {
  if (code === 0x8d) return false;
  const blank = { code, dst_reg: 0, src_reg: 0, off: 0, imm: 0 };
  if (opcodeOf(blank)) return true;
  // Atomics, byte swaps and gotol are selected by the immediate or the offset.
  return (
    [16, 32, 64, 0x100].some((imm) => opcodeOf({ ...blank, imm }) !== undefined) ||
    opcodeOf({ ...blank, src_reg: 1 }) !== undefined
  );
}

function resolveOne(env: Env, i: number): void {
  const insn = env.insns[i]!;
  const next = env.insns[i + 1];
  if (!next || next.code !== 0 || next.dst_reg !== 0 || next.src_reg !== 0 || next.off !== 0) {
    env.refuse('EINVAL', 'invalid bpf_ld_imm64 insn');
  }
  switch (insn.src_reg) {
    case 0:
      return;
    case PSEUDO_FUNC:
      env.pseudoLoads.set(i, { kind: 'func', address: 0n });
      return;
    case PSEUDO_BTF_ID:
      resolveBtfId(env, i);
      return;
    case PSEUDO_MAP_VALUE:
    case PSEUDO_MAP_IDX_VALUE:
      break;
    case PSEUDO_MAP_FD:
    case PSEUDO_MAP_IDX:
      if (next.imm === 0) break;
      env.refuse('EINVAL', 'unrecognized bpf_ld_imm64 insn');
      break;
    default:
      env.refuse('EINVAL', 'unrecognized bpf_ld_imm64 insn');
  }
  const byIndex = insn.src_reg === PSEUDO_MAP_IDX || insn.src_reg === PSEUDO_MAP_IDX_VALUE;
  if (byIndex && !env.request.fdArray) env.refuse('EPROTO', 'fd_idx without fd_array is invalid');
  const map = byIndex ? env.request.fdArray?.[insn.imm] : env.request.resolveMap(insn.imm);
  if (!map) return env.refuse('EBADF', `fd ${insn.imm} is not pointing to valid bpf_map`);
  useMap(env, map);
  const direct = insn.src_reg === PSEUDO_MAP_VALUE || insn.src_reg === PSEUDO_MAP_IDX_VALUE;
  env.pseudoLoads.set(i, direct ? directValue(env, map, next.imm >>> 0) : { kind: 'map', map, address: BigInt(map.address) });
}

function directValue(env: Env, map: VerifierMap, off: number): PseudoLoad {
  if (off >= MAX_VAR_OFF) env.refuse('EINVAL', `direct value offset of ${off} is not allowed`);
  if (!map.valueAddress) return env.refuse('EINVAL', 'no direct value access support for this map type');
  const arrayOfMany = map.max_entries !== 1 && map.map_type === 2;
  if (arrayOfMany) env.refuse('ENOTSUPP', `invalid access to map value pointer, value_size=${map.value_size} off=${off}`);
  if (off >= map.value_size && map.map_type === 2) {
    env.refuse('EINVAL', `invalid access to map value pointer, value_size=${map.value_size} off=${off}`);
  }
  return { kind: 'map-value', map, off, address: BigInt(map.valueAddress(off)) };
}

/** Adds a map to those that the program holds, once; checks that the program may use it at all. */
function useMap(env: Env, map: VerifierMap): void {
  if (env.usedMaps.includes(map)) return;
  if (env.usedMaps.length >= MAX_USED_MAPS) {
    env.refuse('E2BIG', `The total number of maps per program has reached the limit of ${MAX_USED_MAPS}`);
  }
  if (map.map_type === BPF_MAP_TYPE_ARENA) checkArena(env);
  const objection = checkMapForProgram(map, env.facts);
  if (objection) env.refuse(objection.errno, objection.message);
  env.usedMaps.push(map);
}

/** One arena a program, for those that may see addresses. */
function checkArena(env: Env): void {
  if (env.usedMaps.some((used) => used.map_type === BPF_MAP_TYPE_ARENA)) env.refuse('EBUSY', 'Only one arena per program');
  if (!env.allowPtrLeaks || !env.bpfCapable) env.refuse('EPERM', 'CAP_BPF and CAP_PERFMON are required to use arena');
}

function resolveBtfId(env: Env, i: number): void {
  const id = env.insns[i]!.imm;
  const { kernelBtf } = env;
  if (!kernelBtf)
    return env.refuse('EINVAL', 'kernel is missing BTF, make sure CONFIG_DEBUG_INFO_BTF=y is specified in Kconfig.');
  const type = kernelBtf.type(id);
  if (!type) return env.refuse('ENOENT', `ldimm64 insn specifies invalid btf_id ${id}.`);
  if (type.kind !== 'VAR' && type.kind !== 'FUNC') {
    env.refuse('EINVAL', `pseudo btf_id ${id} in ldimm64 isn't KIND_VAR or KIND_FUNC`);
  }
  const address = type.kind === 'VAR' ? env.request.symbolAddress?.(type.name) : 0n;
  if (address === undefined) {
    return env.refuse('ENOENT', `ldimm64 failed to find the address for kernel symbol '${type.name}'.`);
  }
  env.pseudoLoads.set(i, { kind: 'btf', address, btf_id: id });
}
