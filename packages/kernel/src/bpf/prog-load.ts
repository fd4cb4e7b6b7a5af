/** BPF_PROG_LOAD. Mirrors bpf_prog_load of kernel/bpf/syscall.c and the frame of bpf_check; the order of lines is that of the kernel's checks. */

import { decode, type BpfInsn } from '@libbpf-ts/isa';
import {
  BPF_COMPLEXITY_LIMIT_INSNS,
  BPF_F_ANY_ALIGNMENT,
  BPF_F_SLEEPABLE,
  BPF_F_STRICT_ALIGNMENT,
  BPF_F_TEST_REG_INVARIANTS,
  BPF_F_TEST_RND_HI32,
  BPF_F_TEST_STATE_FREQ,
  BPF_F_TOKEN_FD,
  BPF_F_XDP_DEV_BOUND_ONLY,
  BPF_F_XDP_HAS_FRAGS,
  BPF_MAXINSNS,
  BPF_PROG_TYPE_CGROUP_SKB,
  BPF_PROG_TYPE_EXT,
  BPF_PROG_TYPE_LSM,
  BPF_PROG_TYPE_SOCKET_FILTER,
  BPF_PROG_TYPE_STRUCT_OPS,
  BPF_PROG_TYPE_TRACING,
  BpfProgLoadAttr,
  KernelError,
} from '@libbpf-ts/uapi';

import type { BpfCall } from '../call.ts';
import { BpfProg } from '../prog.ts';
import { progTag } from '../tag.ts';
import { fixedUpAttachType, mayExpect } from './attach-rules.ts';
import { refuseToken } from './map-create.ts';
import { objectName } from './names.ts';
import { verifyProgram, type Verified } from './prog-verify.ts';

const NAME_OFFSET = 48;
const KNOWN_FLAGS =
  BPF_F_STRICT_ALIGNMENT |
  BPF_F_ANY_ALIGNMENT |
  BPF_F_TEST_STATE_FREQ |
  BPF_F_SLEEPABLE |
  BPF_F_TEST_RND_HI32 |
  BPF_F_XDP_HAS_FRAGS |
  BPF_F_XDP_DEV_BOUND_ONLY |
  BPF_F_TEST_REG_INVARIANTS |
  BPF_F_TOKEN_FD;
const BTF_MAX_TYPE = 0x000f_ffff;

/** Returns the fd of the new program. */
export function progLoad(call: BpfCall<5>): number {
  const { kernel } = call;
  call.checkEnd(BpfProgLoadAttr.end);
  const attr = call.attr;
  if ((attr.prog_flags & ~KNOWN_FLAGS) !== 0) throw new KernelError('EINVAL', 'unknown prog_flags', 'prog_flags');
  const expectedAttachType = fixedUpAttachType(attr.prog_type, attr.expected_attach_type);
  if ((attr.prog_flags & BPF_F_TOKEN_FD) !== 0) refuseToken(call, attr.prog_token_fd, 'prog_token_fd');
  checkCapabilities(call);
  const attachProg = attachTarget(call);
  if (
    !mayExpect(attr.prog_type, expectedAttachType) ||
    kernel.progTypes.get(attr.prog_type)?.checkExpectedAttachType?.(expectedAttachType) === false
  ) {
    throw new KernelError(
      'EINVAL',
      `programs of type ${attr.prog_type} can't be loaded for attach type ${expectedAttachType}`,
      'expected_attach_type',
    );
  }
  const bytes = call.read(attr.insns, attr.insn_cnt * 8, 'insns');
  const license = call.readString(attr.license, 127, 'license');
  if (attr.signature !== 0n) throw new KernelError('EOPNOTSUPP', 'signed programs are not supported', 'signature');
  if (attr.prog_ifindex !== 0) throw new KernelError('EINVAL', 'no device here takes programs of its own', 'prog_ifindex');
  if (!kernel.progTypes.has(attr.prog_type))
    throw new KernelError('EINVAL', `no program type ${attr.prog_type} is built in`, 'prog_type');
  const name = objectName(call.bytes.subarray(NAME_OFFSET, NAME_OFFSET + 16), 'prog_name');
  const insns = decode(bytes);
  const verified = verifyProgram(call, {
    insns,
    name,
    expectedAttachType,
    gplCompatible: isGplCompatible(license),
    attachProg,
  });
  return finish(call, { bytes, insns, license, name, expectedAttachType, attachProg, verified });
}

/** NET_ADMIN and PERFMON program types (`is_net_admin_prog_type`, `is_perfmon_prog_type`). */
const NET_ADMIN: ReadonlySet<number> = new Set([3, 4, 6, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 22, 23, 25, 28, 32]);
const PERFMON: ReadonlySet<number> = new Set([2, 5, 7, 17, 24, 26, 28, 29, 27]);

function checkCapabilities({ attr, task, kernel }: BpfCall<5>): void {
  const { sysAdmin } = task.capabilities;
  const bpf = task.capabilities.bpf || sysAdmin;
  if (!bpf && kernel.options.unprivilegedBpfDisabled !== false)
    throw new KernelError('EPERM', 'loading a program needs CAP_BPF');
  const most = bpf ? BPF_COMPLEXITY_LIMIT_INSNS : BPF_MAXINSNS;
  if (attr.insn_cnt === 0 || attr.insn_cnt > most)
    throw new KernelError('E2BIG', `a program has 1 to ${most} instructions, not ${attr.insn_cnt}`, 'insn_cnt');
  const type = attr.prog_type;
  if (type !== BPF_PROG_TYPE_SOCKET_FILTER && type !== BPF_PROG_TYPE_CGROUP_SKB && !bpf) {
    throw new KernelError('EPERM', 'this program type needs CAP_BPF', 'prog_type');
  }
  if (NET_ADMIN.has(type) && !task.capabilities.netAdmin && !sysAdmin)
    throw new KernelError('EPERM', 'this program type needs CAP_NET_ADMIN', 'prog_type');
  if (PERFMON.has(type) && !task.capabilities.perfmon && !sysAdmin)
    throw new KernelError('EPERM', 'this program type needs CAP_PERFMON', 'prog_type');
}

/** What attach_prog_fd, attach_btf_obj_fd and attach_btf_id name; the program, where it is one. */
function attachTarget({ attr, task }: BpfCall<5>): BpfProg | undefined {
  let target: BpfProg | undefined;
  let inKernelBtf = false;
  if (attr.attach_prog_fd !== 0) {
    const object = task.file(attr.attach_prog_fd | 0)?.object;
    if (object instanceof BpfProg) target = object;
    else {
      const btf = task.file(attr.attach_btf_obj_fd | 0)?.object;
      if (btf?.kind !== 'btf')
        throw new KernelError('EINVAL', 'attach_prog_fd is no program, and attach_btf_obj_fd no BTF', 'attach_prog_fd');
      if (!task.btf(attr.attach_btf_obj_fd | 0, 'attach_btf_obj_fd').isKernel)
        throw new KernelError('ENOTSUPP', "the BTF is not the kernel's", 'attach_btf_obj_fd');
      inKernelBtf = true;
    }
  } else if (attr.attach_btf_id !== 0) inKernelBtf = true;
  checkTarget(attr.prog_type, attr.attach_btf_id, inKernelBtf, target);
  return target;
}

/** The first half of `bpf_prog_load_check_attach`. */
function checkTarget(type: number, id: number, inKernelBtf: boolean, target: BpfProg | undefined): void {
  const refuse = (detail: string, argument: string): never => {
    throw new KernelError('EINVAL', detail, argument);
  };
  if (id !== 0) {
    if (id > BTF_MAX_TYPE) refuse('the id is too large', 'attach_btf_id');
    if (!inKernelBtf && !target) refuse('an id needs a target', 'attach_btf_id');
    if (![BPF_PROG_TYPE_TRACING, BPF_PROG_TYPE_LSM, BPF_PROG_TYPE_STRUCT_OPS, BPF_PROG_TYPE_EXT].includes(type)) {
      refuse('programs of this type have no target', 'attach_btf_id');
    }
  }
  if (inKernelBtf && (id === 0 || target)) refuse('a target in kernel BTF needs an id', 'attach_btf_id');
  if (target && type !== BPF_PROG_TYPE_TRACING && type !== BPF_PROG_TYPE_EXT)
    refuse('programs of this type have no target program', 'attach_prog_fd');
}

const GPL_COMPATIBLE: ReadonlySet<string> = new Set([
  'GPL',
  'GPL v2',
  'GPL and additional rights',
  'Dual BSD/GPL',
  'Dual MIT/GPL',
  'Dual MPL/GPL',
]);

/** `license_is_gpl_compatible`. */
export function isGplCompatible(license: string): boolean {
  return GPL_COMPATIBLE.has(license);
}

interface Loading {
  readonly bytes: Uint8Array;
  readonly insns: readonly BpfInsn[];
  readonly license: string;
  readonly name: string;
  readonly expectedAttachType: number;
  readonly attachProg: BpfProg | undefined;
  readonly verified: Verified;
}

/** The verified program gets its references, its slot, its id and its fd. */
function finish({ attr, kernel, task }: BpfCall<5>, loading: Loading): number {
  const { bytes, insns, license, name, expectedAttachType, attachProg, verified } = loading;
  const prog = new BpfProg(kernel, {
    type: attr.prog_type,
    expectedAttachType,
    flags: attr.prog_flags,
    name,
    license,
    gplCompatible: isGplCompatible(license),
    insns,
    bytes,
    tag: progTag(bytes),
    uid: task.uid,
    loadTime: kernel.clock.now(),
    attachBtfId: attr.attach_btf_id,
    funcInfo: verified.funcInfo,
    lineInfo: verified.lineInfo,
    verified: verified.result,
  });
  prog.id = kernel.progs.nextId();
  const holder = { kind: 'prog', id: prog.id } as const;
  for (const map of verified.maps) {
    map.acquire(holder);
    prog.usedMaps.push(map);
  }
  verified.btf?.acquire(holder);
  prog.btf = verified.btf;
  attachProg?.acquire(holder);
  prog.attachProg = attachProg;
  try {
    for (const map of prog.usedMaps) {
      if (map.ops.admitsProg?.(map, prog) === false)
        throw new KernelError('EINVAL', `map ${map.id} holds programs of another kind`, 'insns');
    }
    prog.place(kernel.options.engine);
  } catch (error) {
    prog.abandon();
    throw error;
  }
  kernel.progs.add(prog);
  return task.installObject(prog);
}
