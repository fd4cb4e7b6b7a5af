/** The part of BPF_PROG_LOAD in which the verifier works: its log, its maps, its BTF. Mirrors the frame of bpf_check. */

import type { BpfInsn } from '@libbpf-ts/isa';
import {
  BPF_PSEUDO_MAP_IDX,
  BPF_PSEUDO_MAP_IDX_VALUE,
  BpfProgLoadAttr,
  isKernelError,
  KernelError,
  type ErrnoName,
} from '@libbpf-ts/uapi';
import type { Diagnostic, VerifierMap, VerifierRequest, VerifierSuccess } from '@libbpf-ts/verifier';

import type { BtfObject } from '../btf-object.ts';
import type { BpfCall } from '../call.ts';
import type { BpfMap } from '../map.ts';
import type { BpfProg } from '../prog.ts';
import { LogBuffer } from './log-buffer.ts';
import { functionStarts, readFuncInfo, readLineInfo } from './prog-records.ts';

export interface Judged {
  readonly insns: readonly BpfInsn[];
  readonly name: string;
  readonly expectedAttachType: number;
  readonly gplCompatible: boolean;
  readonly attachProg: BpfProg | undefined;
}

export interface Verified {
  readonly result: VerifierSuccess;
  /** What the program holds, in order of first use. */
  readonly maps: readonly BpfMap[];
  readonly btf: BtfObject | undefined;
  readonly funcInfo: Uint8Array;
  readonly lineInfo: Uint8Array;
}

/** A program that the verifier refused, with its findings: `task.lastError` hands them to a loader in this process. */
export class VerifierRefusal extends KernelError {
  readonly diagnostics: readonly Diagnostic[];

  constructor(code: ErrnoName, detail: string, diagnostics: readonly Diagnostic[]) {
    super(code, detail, 'insns');
    this.diagnostics = diagnostics;
  }
}

/** Throws what the verifier refuses with; the log is handed over in any case, and a log that does not fit wins over the verdict (ENOSPC). */
export function verifyProgram(call: BpfCall<5>, judged: Judged): Verified {
  const { attr } = call;
  const log = new LogBuffer(call, attr.log_level, attr.log_buf, attr.log_size, 'log');
  let verdict: Verified | KernelError;
  let judgedAtAll = false;
  try {
    verdict = judge(call, judged, log, () => (judgedAtAll = true));
  } catch (error) {
    if (!isKernelError(error)) throw error;
    verdict = error;
    if (!judgedAtAll) log.write(NOTHING_PROCESSED);
  }
  const { trueSize, error } = log.finish();
  if (call.size >= BpfProgLoadAttr.offsetOf('log_true_size') + 4) call.put('log_true_size', trueSize);
  if (error) throw error;
  if (isKernelError(verdict)) throw verdict;
  return verdict;
}

/** What the log ends with where the verifier did not come to look at any instruction. */
const NOTHING_PROCESSED = 'processed 0 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n';

function judge(call: BpfCall<5>, judged: Judged, log: LogBuffer, began: () => void): Verified {
  const { attr, kernel, task } = call;
  const maps = new LoadMaps(call);
  const fdArray = maps.fdArray(judged.insns, log);
  const records = readRecords(call, judged.insns, log);
  if (records && attr.core_relo_cnt !== 0) {
    throw new KernelError('EOPNOTSUPP', 'relocations are left to the loader: core_relos are not supported', 'core_relo_cnt');
  }
  const { sysAdmin, bpf, perfmon, netAdmin } = task.capabilities;
  const request: VerifierRequest = {
    insns: judged.insns,
    name: judged.name,
    prog_type: attr.prog_type,
    expected_attach_type: judged.expectedAttachType,
    prog_flags: attr.prog_flags,
    gplCompatible: judged.gplCompatible,
    ops: kernel.progTypes.get(attr.prog_type)!.verifier,
    resolveMap: (fd) => maps.byFd(fd),
    kernelBtf: kernel.kernelBtf.verifierView,
    capabilities: { bpf: bpf || sysAdmin, perfmon: perfmon || sysAdmin, sysAdmin, netAdmin: netAdmin || sysAdmin },
    log_level: attr.log_level,
    ...(fdArray ? { fdArray } : {}),
    ...(records ? { btf: records.btf.verifierView, func_info: records.funcInfo.rows, line_info: records.lineInfo.rows } : {}),
    ...(attr.attach_btf_id === 0 ? {} : { attach_btf_id: attr.attach_btf_id }),
  };
  const result = kernel.verify(request);
  began();
  log.write(result.log);
  log.needs(result.log_true_size);
  if (
    !result.ok &&
    result.stats.processed === 0 &&
    !result.log.includes('\nprocessed 0 ') &&
    !result.log.startsWith('processed 0 ')
  ) {
    log.write(NOTHING_PROCESSED);
  }
  if (!result.ok) {
    const first = result.diagnostics[0];
    // The verifier says EBADF for whatever is no map.
    const errno = maps.notMap && result.errno === 'EBADF' ? 'EINVAL' : result.errno;
    throw new VerifierRefusal(
      errno,
      first ? `${first.code} at insn ${first.insn}: ${first.message}` : lastLine(result.log),
      result.diagnostics,
    );
  }
  return {
    result,
    maps: maps.used(result.usedMaps),
    btf: records?.btf,
    funcInfo: records?.funcInfo.raw ?? new Uint8Array(0),
    lineInfo: records?.lineInfo.raw ?? new Uint8Array(0),
  };
}

const lastLine = (log: string): string => log.trimEnd().split('\n').at(-1) ?? '';

interface LoadRecords {
  readonly btf: BtfObject;
  readonly funcInfo: ReturnType<typeof readFuncInfo>;
  readonly lineInfo: ReturnType<typeof readLineInfo>;
}

/** `check_btf_info_early` and the record checks of `check_btf_info`. */
function readRecords(call: BpfCall<5>, insns: readonly BpfInsn[], log: LogBuffer): LoadRecords | undefined {
  const { attr, task } = call;
  if (attr.func_info_cnt === 0 && attr.line_info_cnt === 0) return undefined;
  const btf = task.btf(attr.prog_btf_fd | 0, 'prog_btf_fd');
  if (btf.isKernel) throw new KernelError('EACCES', "the BTF is the kernel's own", 'prog_btf_fd');
  const funcInfo = readFuncInfo(call, btf.btf, log);
  return { btf, funcInfo, lineInfo: readLineInfo(call, btf.btf, insns, functionStarts(insns), log) };
}

/** The maps that one program names, each with the one view that the verifier gets of it. */
class LoadMaps {
  readonly #call: BpfCall<5>;
  readonly #views: Map<BpfMap, VerifierMap> = new Map();
  readonly #maps: Map<VerifierMap, BpfMap> = new Map();
  /** Maps of fd_array are held even if no instruction names them. */
  readonly #bound: BpfMap[] = [];

  constructor(call: BpfCall<5>) {
    this.#call = call;
  }

  /** An open fd was asked for that is no map: EINVAL, not EBADF. */
  notMap = false;

  /** undefined where there is no map behind the fd. */
  byFd(fd: number): VerifierMap | undefined {
    const file = this.#call.task.file(fd);
    if (file?.object?.kind === 'map') return this.#view(file.object as BpfMap);
    this.notMap ||= file !== undefined;
    return undefined;
  }

  /** The maps of fd_array by index (`process_fd_array`); undefined where none is given. */
  fdArray(insns: readonly BpfInsn[], log: LogBuffer): (VerifierMap | undefined)[] | undefined {
    const { attr, task } = this.#call;
    if (attr.fd_array_cnt > 0xffff_ffff / 4 - 1) {
      log.write(`fd_array_cnt is too big (${attr.fd_array_cnt})\n`);
      throw new KernelError('EINVAL', 'fd_array_cnt is too big', 'fd_array_cnt');
    }
    for (let index = 0; index < attr.fd_array_cnt; index++) {
      const fd = this.#fdAt(index);
      const object = task.file(fd)?.object;
      if (object?.kind === 'map') {
        this.#view(object as BpfMap);
        this.#bound.push(object as BpfMap);
      } else if (object?.kind !== 'btf') {
        log.write(`fd ${fd} is not pointing to valid map or btf\n`);
        throw new KernelError(task.file(fd) ? 'EINVAL' : 'EBADF', `fd ${fd} of fd_array is neither map nor BTF`, 'fd_array');
      }
    }
    if (attr.fd_array === 0n) return undefined;
    const found: (VerifierMap | undefined)[] = [];
    for (const { code, src_reg, imm } of insns) {
      const byIndex = code === 0x18 && (src_reg === BPF_PSEUDO_MAP_IDX || src_reg === BPF_PSEUDO_MAP_IDX_VALUE);
      if (byIndex && found[imm] === undefined) found[imm] = this.byFd(this.#fdAt(imm));
    }
    return found;
  }

  used(views: readonly VerifierMap[]): BpfMap[] {
    return [...new Set([...this.#bound, ...views.map((view) => this.#maps.get(view)!)])];
  }

  #fdAt(index: number): number {
    const bytes = this.#call.read(this.#call.attr.fd_array + BigInt(index * 4), 4, 'fd_array');
    return new DataView(bytes.buffer).getInt32(0, true);
  }

  #view(map: BpfMap): VerifierMap {
    let view = this.#views.get(map);
    if (!view) {
      view = map.verifierView();
      this.#views.set(map, view);
      this.#maps.set(view, map);
    }
    return view;
  }
}
