/** All that one verification holds (`struct bpf_verifier_env`), and the few moves that every part makes. */

import { attachedName } from './btf-context.ts';
import type { BpfInsn } from '@libbpf-ts/isa';
import { BPF_F_SLEEPABLE, BPF_F_STRICT_ALIGNMENT, BPF_F_TEST_STATE_FREQ, type ErrnoName } from '@libbpf-ts/uapi';
import { Liveness } from './stack-liveness.ts';
import { Log } from './log.ts';
import type { ProgFacts, VerifierOps } from './ops.ts';
import { markConstScalar, markUnknown, Reg } from './register.ts';
import { SCALAR_VALUE } from './regtype.ts';
import type { SccTracker } from './scc-visits.ts';
import type { FramePool, FuncState, HistoryEntry, VerifierState } from './state.ts';
import type { BpfFuncProto, LineInfo, TraceEvent, VerifiedCall, VerifierBtf, VerifierMap, VerifierRequest } from './types.ts';
import type { ProtoSpec } from './arg-types.ts';
import { IdMap } from './id-map.ts';
import { Backtrack } from './backtrack.ts';
import type { PseudoLoad } from './pseudo-loads.ts';
import { insnText } from './insn-text.ts';

export const BPF_COMPLEXITY_LIMIT_JMP_SEQ = 8192;
export const BPF_COMPLEXITY_LIMIT_STATES = 64;

/** Thrown where the kernel returns -errno; what was logged before says why. */
export class Refusal extends Error {
  readonly errno: ErrnoName;
  constructor(errno: ErrnoName, message: string) {
    super(message);
    this.errno = errno;
  }
}

/** What is known of one function of the program (`struct bpf_subprog_info`). */
export class SubprogInfo {
  start: number;
  end = 0;
  name = '';
  stackDepth = 0;
  hasTailCall = false;
  hasLdAbs = false;
  isGlobal = false;
  isCallback = false;
  isAsyncCallback = false;
  isExceptionCallback = false;
  called = false;
  verified = false;
  mightSleep = false;
  changesPacketData = false;
  btfTypeId = 0;
  constructor(start: number) {
    this.start = start;
  }
}

/** A branch set aside (`struct bpf_verifier_stack_elem`). */
export interface PendingBranch {
  readonly state: VerifierState;
  readonly insnIdx: number;
  readonly prevInsnIdx: number;
  readonly logPosition: number;
}

const ALL_CAPABILITIES = { bpf: true, perfmon: true, sysAdmin: true, netAdmin: true };

export class Env {
  readonly request: VerifierRequest;
  readonly ops: VerifierOps;
  readonly insns: readonly BpfInsn[];
  readonly log: Log;
  readonly facts: ProgFacts;
  readonly kernelBtf: VerifierBtf | undefined;
  // Privileges.
  readonly bpfCapable: boolean;
  readonly allowPtrLeaks: boolean;
  readonly bypassSpec: boolean;
  readonly strictAlignment: boolean;
  readonly testStateFreq: boolean;
  // Facts about instructions.
  readonly prunePoint: Uint8Array;
  readonly jmpPoint: Uint8Array;
  readonly forceCheckpoint: Uint8Array;
  readonly callsCallback: Uint8Array;
  readonly liveRegs: Uint16Array;
  readonly scc: Int32Array;
  readonly seen: Uint8Array;
  /** Pointer type that a load or store instruction was seen with; 0 none yet. */
  readonly ptrType: Int32Array;
  readonly pseudoLoads: Map<number, PseudoLoad> = new Map();
  readonly subprogs: SubprogInfo[] = [];
  /** Subprogram of an instruction. */
  readonly subprogOf: Int32Array;
  // The exploration.
  cur!: VerifierState;
  readonly pending: PendingBranch[] = [];
  readonly explored: (VerifierState[] | undefined)[] = [];
  insnIdx = 0;
  prevInsnIdx = -1;
  curHistory: HistoryEntry | undefined = undefined;
  idGen = 0;
  readonly liveness: Liveness;
  sccs!: SccTracker;
  // Statistics.
  insnProcessed = 0;
  prevInsnProcessed = 0;
  jmpsProcessed = 0;
  prevJmpsProcessed = 0;
  maxStatesPerInsn = 0;
  totalStates = 0;
  peakStates = 0;
  exploredSize = 0;
  /** Loops whose bounds an ALU sanitation explores exactly (unprivileged). */
  exploreAluLimits = false;
  // Results.
  /** Instructions behind which no speculative path goes: a barrier before them, or after. */
  readonly nospec: Uint8Array;
  readonly nospecResult: Uint8Array;
  /** Masks of pointer arithmetic, by instruction (unprivileged). */
  readonly aluStates: Map<number, string> = new Map();
  readonly calls: Map<number, VerifiedCall> = new Map();
  readonly callMaps: Map<number, VerifierMap | null> = new Map();
  readonly probeLoads: Set<number> = new Set();
  /** Callback of each bpf_loop call, −1 where it varies or flags were given. */
  readonly loopCallbacks: Map<number, number> = new Map();
  /** End of the furthest context access (`prog->aux->max_ctx_offset`). */
  maxCtxOffset = 0;
  readonly usedMaps: VerifierMap[] = [];
  readonly trace: TraceEvent[] = [];
  /** Registers and slots changed since the last printed state. */
  touchedRegs = 0;
  readonly touchedSlots: Set<number> = new Set();
  /** Number of the function that bpf_throw ends in; 0 where there is none. */
  exceptionCallback = 0;
  privateStack = false;
  readonly #lineInfo: readonly LineInfo[];
  #lastLine: LineInfo | undefined = undefined;
  readonly protoSpecs: Map<BpfFuncProto, ProtoSpec> = new Map();
  readonly framePool: FramePool = [];
  /** Scratch of one comparison of states, and of one walk back. */
  readonly idMap: IdMap = new IdMap();
  readonly backtrack: Backtrack = new Backtrack();
  readonly fakeReg: Reg = new Reg();
  readonly fakeReg2: Reg = new Reg();
  readonly unboundReg: Reg = new Reg();

  constructor(request: VerifierRequest) {
    this.request = request;
    this.ops = request.ops;
    this.insns = request.insns;
    this.kernelBtf = request.kernelBtf;
    this.log = new Log(request.log_level ?? 0);
    const capabilities = request.capabilities ?? ALL_CAPABILITIES;
    this.bpfCapable = capabilities.bpf;
    this.allowPtrLeaks = capabilities.perfmon;
    this.bypassSpec = capabilities.perfmon;
    this.strictAlignment = (request.prog_flags & BPF_F_STRICT_ALIGNMENT) !== 0;
    this.testStateFreq = capabilities.bpf && (request.prog_flags & BPF_F_TEST_STATE_FREQ) !== 0;
    this.facts = {
      prog_type: request.prog_type,
      expected_attach_type: request.expected_attach_type,
      prog_flags: request.prog_flags,
      sleepable: (request.prog_flags & BPF_F_SLEEPABLE) !== 0,
      gplCompatible: request.gplCompatible,
      capabilities,
      kernelBtf: request.kernelBtf,
      attachName: attachName(request),
    };
    const count = request.insns.length;
    this.prunePoint = new Uint8Array(count + 1);
    this.jmpPoint = new Uint8Array(count + 1);
    this.forceCheckpoint = new Uint8Array(count + 1);
    this.callsCallback = new Uint8Array(count + 1);
    this.liveRegs = new Uint16Array(count + 1);
    this.scc = new Int32Array(count + 1);
    this.seen = new Uint8Array(count + 1);
    this.ptrType = new Int32Array(count + 1);
    this.subprogOf = new Int32Array(count + 1);
    this.nospec = new Uint8Array(count + 1);
    this.nospecResult = new Uint8Array(count + 1);
    this.#lineInfo = request.line_info ?? [];
    this.liveness = new Liveness(this);
    markUnknown(this.unboundReg, false);
  }

  get frame(): FuncState {
    return this.cur.frames[this.cur.curframe]!;
  }

  reg(regno: number): Reg {
    return this.cur.frames[this.cur.curframe]!.regs[regno]!;
  }

  /** The frame that a stack pointer points into. */
  frameOf(reg: Reg): FuncState {
    return this.cur.frames[reg.frameno]!;
  }

  nextId(): number {
    return ++this.idGen;
  }

  /** Logs why and gives up (on this path, where it is speculative). */
  refuse(errno: ErrnoName, message: string): never {
    if (message !== '') this.log.reason(message);
    throw new Refusal(errno, message);
  }

  /** What is not built yet is refused in plain words. */
  unsupported(what: string): never {
    return this.refuse('EOPNOTSUPP', `not supported by this verifier: ${what}`);
  }

  touch(regno: number): void {
    this.touchedRegs |= 1 << regno;
  }

  touchSlot(spi: number): void {
    if (this.log.on) this.touchedSlots.add(spi);
  }

  clean(): void {
    this.touchedRegs = 0;
    this.touchedSlots.clear();
  }

  touchAll(): void {
    this.touchedRegs = -1;
    if (this.log.on) for (let spi = 0; spi < 64; spi++) this.touchedSlots.add(spi);
  }

  /** Marks a register as a scalar of which nothing is known. */
  markUnknown(reg: Reg): void {
    markUnknown(reg, !this.bpfCapable);
  }

  /** A scratch register that holds a constant. */
  constant(imm: number): Reg {
    const reg = this.fakeReg;
    reg.type = SCALAR_VALUE;
    markConstScalar(reg, imm >> 31, imm);
    return reg;
  }

  /** The row of line_info that covers an instruction. */
  lineOf(insn: number): LineInfo | undefined {
    let low = 0;
    let high = this.#lineInfo.length - 1;
    let found: LineInfo | undefined;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const row = this.#lineInfo[middle]!;
      if (row.insn_off <= insn) {
        found = row;
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    return found;
  }

  /** Logs the source line of an instruction, once in a row. */
  logLine(insn: number, prefix: string): void {
    if (this.#lineInfo.length === 0 || !this.log.on) return;
    const row = this.lineOf(insn);
    const last = this.#lastLine;
    if (!row || (last && row.lineNumber === last.lineNumber && row.fileName === last.fileName)) return;
    this.#lastLine = row;
    const file = row.fileName.slice(row.fileName.lastIndexOf('/') + 1);
    this.log.write(`${prefix}${row.line.trimStart()} @ ${file}:${row.lineNumber}\n`);
  }

  /** An instruction in the log's syntax, without number and newline. */
  text(insn: number): string {
    return insnText(this.insns, insn, this.pseudoLoads, this.request, this.allowPtrLeaks);
  }
}

/** Name of the function or typedef attached to, `struct.member` for struct_ops. */
function attachName(request: VerifierRequest): string | undefined {
  if (!request.attach_btf_id || !request.kernelBtf) return undefined;
  return attachedName(request.kernelBtf, request.attach_btf_id, request.expected_attach_type);
}
