/** Programs: how one is loaded, and the handle to a loaded one. */

import {
  BPF_PROG_TYPE_NAMES,
  bpf_prog_info,
  BPF_OBJ_GET_INFO_BY_FD,
  BPF_PROG_LOAD,
  BPF_PROG_TEST_RUN,
  BPF_PROG_TYPE_RAW_TRACEPOINT,
  BPF_PROG_TYPE_SYSCALL,
  cString,
  type BpfAttr,
  type Syscalls,
} from '@libbpf-ts/uapi';
import { encode, type BpfInsn } from '@libbpf-ts/isa';
import { columnOf, lineOf, type Btf } from '@libbpf-ts/btf';
import { attachProgram, type AttachOptions } from './attach.ts';
import { call, refusal } from './call.ts';
import { kernelName } from './create-map.ts';
import { lastLine, VerifierError, type SourceLine, type VerifierDiagnostic } from './errors.ts';
import { Handle } from './handle.ts';
import type { Hook } from './hook.ts';
import type { Link } from './bpf-link.ts';
import type { LinkedProgram } from './link.ts';
import { explainPoison } from './resolve.ts';
import type { ObjectSpec, ProgramSpec } from './spec.ts';

export interface TestRunOptions {
  /** Packet or other input. */
  readonly data?: Uint8Array;
  /** Context structure (`struct __sk_buff`, `struct xdp_md`, …). */
  readonly ctx?: Uint8Array;
  readonly repeat?: number;
  readonly flags?: number;
  readonly cpu?: number;
  /** Bytes to keep of the output; default as many as go in, plus 256. */
  readonly outputSize?: number;
}

export interface TestRunResult {
  /** What the program returned, unsigned. */
  readonly retval: number;
  /** Nanoseconds a run. */
  readonly duration: number;
  readonly data: Uint8Array;
  readonly ctx: Uint8Array;
}

/** A loaded program. `Type` is the name of its type (`'sched_cls'`) where a skeleton knows it: `attach` then takes hooks for it only. */
export class Program<Type extends string = never> extends Handle {
  readonly spec: ProgramSpec;
  /** Instructions as given to the kernel. */
  readonly insns: readonly BpfInsn[];
  readonly #closeLink: (link: Link) => void;

  constructor(
    sys: Syscalls,
    fd: number,
    spec: ProgramSpec,
    insns: readonly BpfInsn[],
    adopt: (link: Link) => void = () => undefined,
  ) {
    super(sys, fd);
    this.spec = spec;
    this.insns = insns;
    this.#closeLink = adopt;
  }

  get name(): string {
    return this.spec.name;
  }

  /** `sched_cls`, `xdp`, … */
  get type(): string {
    return programTypeName(this.spec.type);
  }

  /** What the kernel knows of the program: `struct bpf_prog_info` without its arrays. */
  info(): ReturnType<typeof bpf_prog_info.read> {
    const info = new Uint8Array(bpf_prog_info.size);
    call(this.sys, BPF_OBJ_GET_INFO_BY_FD, { bpf_fd: this.fd, info_len: info.length, info }, `of program ${this.name}`);
    return bpf_prog_info.read(new DataView(info.buffer));
  }

  get id(): number {
    return this.info().id;
  }

  /** Attaches the program to a hook, or, without one, where its section says. Closing the link detaches it. */
  attach(hook?: Hook<Type>, options: AttachOptions = {}): Link {
    const link = attachProgram(this, hook, options);
    this.#closeLink(link);
    return link;
  }

  /** Runs the program on given input (BPF_PROG_TEST_RUN). */
  testRun(options: TestRunOptions = {}): TestRunResult {
    const data_out = new Uint8Array(options.outputSize ?? (options.data ? options.data.length + 256 : 0));
    const inPlace = CONTEXT_IN_PLACE.has(this.spec.type);
    const ctx_in = options.ctx?.slice();
    const ctx_out = new Uint8Array(ctx_in && !inPlace ? Math.max(ctx_in.length, LARGEST_CONTEXT) : 0);
    const attr: BpfAttr<10> = {
      prog_fd: this.fd,
      repeat: options.repeat ?? 0,
      flags: options.flags ?? 0,
      cpu: options.cpu ?? 0,
      ...(options.data
        ? { data_in: options.data, data_size_in: options.data.length, data_out, data_size_out: data_out.length }
        : {}),
      ...(ctx_in ? { ctx_in, ctx_size_in: ctx_in.length } : {}),
      ...(ctx_out.length > 0 ? { ctx_out, ctx_size_out: ctx_out.length } : {}),
    };
    call(this.sys, BPF_PROG_TEST_RUN, attr, `of program ${this.name}`);
    return {
      retval: attr.retval ?? 0,
      duration: attr.duration ?? 0,
      data: data_out.subarray(0, options.data ? attr.data_size_out : 0),
      ctx: inPlace ? (ctx_in ?? ctx_out) : ctx_out.subarray(0, ctx_in ? attr.ctx_size_out : 0),
    };
  }
}

export interface LoadProgramOptions {
  /** BPF_LOG_* bits asked for from the start; 0 asks for a log only after a refusal. */
  readonly logLevel: number;
  readonly attach_btf_id: number;
  readonly attach_prog_fd: number;
  readonly expected_attach_type: number;
  /** File descriptor of the object's BTF; 0 where it has none. */
  readonly btfFd: number;
  readonly license: string;
}

export interface LoadedFd {
  readonly fd: number;
  /** Empty unless `logLevel` asked for one. */
  readonly log: string;
}

/** Room for what comes back of a context, also where a part of it was given: more than any type of program has. */
const LARGEST_CONTEXT = 256;
/** Types whose context is memory of the caller's: what comes back of it is there, and there is no buffer for it. */
const CONTEXT_IN_PLACE: ReadonlySet<number> = new Set([BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_PROG_TYPE_SYSCALL]);

const FIRST_LOG = 64 * 1024;
const LARGEST_LOG = 16 * 1024 * 1024 - 1;
const ENOSPC = -28;

/** Gives a linked program to the kernel. On a refusal the log is fetched, with a buffer as large as it needs. */
export function loadProgram(
  sys: Syscalls,
  spec: ObjectSpec,
  linked: LinkedProgram,
  insns: readonly BpfInsn[],
  options: LoadProgramOptions,
): LoadedFd {
  const attr = loadAttr(spec, linked, insns, options);
  if (options.logLevel === 0) {
    const fd = sys.bpf(BPF_PROG_LOAD, { ...attr });
    if (fd >= 0) return { fd, log: '' };
    if (fd === -1) throw refusal(sys, fd, 'BPF_PROG_LOAD', `program ${linked.program.name}`);
  }
  const { result, log } = loadWithLog(sys, attr, options.logLevel || 1);
  if (result >= 0) return { fd: result, log };
  const text = explainPoison(spec, linked, log);
  if (lastLine(text) === '' && (text === '' || explains(sys)))
    throw refusal(sys, result, 'BPF_PROG_LOAD', `program ${linked.program.name}`);
  throw new VerifierError(result, linked.program.name, text, diagnosticsOf(sys, spec, linked, text));
}

function loadWithLog(sys: Syscalls, attr: BpfAttr<5>, log_level: number): { result: number; log: string } {
  for (let size = FIRST_LOG; ; size = Math.min(size * 4, LARGEST_LOG)) {
    const log_buf = new Uint8Array(size);
    const asked = { ...attr, log_level, log_size: size, log_buf, log_true_size: 0 };
    const result = sys.bpf(BPF_PROG_LOAD, asked);
    if (result === ENOSPC && size < LARGEST_LOG) {
      size = Math.max(size, Math.min((asked.log_true_size + 3) >> 2, LARGEST_LOG >> 2));
      continue;
    }
    const end = log_buf.indexOf(0);
    return { result, log: new TextDecoder().decode(log_buf.subarray(0, end < 0 ? size : end)) };
  }
}

function loadAttr(spec: ObjectSpec, linked: LinkedProgram, insns: readonly BpfInsn[], options: LoadProgramOptions): BpfAttr<5> {
  const { program } = linked;
  const bytes = encode(insns);
  const described = options.btfFd > 0 && linked.funcInfo.length > 0;
  return {
    prog_type: program.type,
    insn_cnt: insns.length,
    insns: bytes,
    license: cString(options.license),
    kern_version: spec.kern_version,
    prog_flags: program.prog_flags,
    prog_name: kernelName(program.name),
    expected_attach_type: options.expected_attach_type,
    attach_btf_id: options.attach_btf_id,
    attach_prog_fd: options.attach_prog_fd,
    ...(described ? { prog_btf_fd: options.btfFd, ...records(linked) } : {}),
  };
}

/** `struct bpf_func_info[]` and `struct bpf_line_info[]`. */
function records(linked: LinkedProgram): BpfAttr<5> {
  const func = new Uint32Array(linked.funcInfo.length * 2);
  linked.funcInfo.forEach(({ insn_off, type_id }, i) => func.set([insn_off, type_id], i * 2));
  const line = new Uint32Array(linked.lineInfo.length * 4);
  linked.lineInfo.forEach((info, i) => line.set([info.insn_off, info.file_name_off, info.line_off, info.line_col], i * 4));
  return {
    func_info: func,
    func_info_rec_size: 8,
    func_info_cnt: linked.funcInfo.length,
    ...(line.length > 0 ? { line_info: line, line_info_rec_size: 16, line_info_cnt: linked.lineInfo.length } : {}),
  };
}

/** Whether the kernel gives a reason of its own, where the log has none. */
const explains = (sys: Syscalls): boolean =>
  (sys as { readonly lastError?: { readonly detail?: string } }).lastError?.detail !== undefined;

/** A kernel that explains itself hands its findings over; of others the log's last line is one. */
function diagnosticsOf(sys: Syscalls, spec: ObjectSpec, linked: LinkedProgram, log: string): VerifierDiagnostic[] {
  const told = (sys as { readonly lastError?: { readonly diagnostics?: readonly VerifierDiagnostic[] } }).lastError
    ?.diagnostics;
  if (told && told.length > 0) return [...told];
  const last = [...log.matchAll(/^(\d+): \([0-9a-f]{2}\)/gm)].at(-1);
  const insn = last ? Number(last[1]) : undefined;
  return [
    {
      code: 'verifier',
      message: lastLine(log),
      insn,
      source: insn === undefined ? undefined : sourceOf(spec.btf, linked, insn),
    },
  ];
}

/** The C line that an instruction was compiled from. */
export function sourceOf(btf: Btf | undefined, linked: LinkedProgram, insn: number): SourceLine | undefined {
  const info = linked.lineInfo.findLast((record) => record.insn_off <= insn);
  if (!info || !btf) return undefined;
  return {
    fileName: btf.string(info.file_name_off),
    lineNumber: lineOf(info),
    column: columnOf(info),
    text: btf.string(info.line_off).trimEnd(),
  };
}

/** `sched_cls` for BPF_PROG_TYPE_SCHED_CLS. */
export const programTypeName = (type: number): string =>
  (BPF_PROG_TYPE_NAMES.get(type) ?? `unknown_${type}`).replace(/^BPF_PROG_TYPE_/, '').toLowerCase();
