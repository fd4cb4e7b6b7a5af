/** What the vm throws. Recognised by `code`, since two versions of the package may meet in one process. */

/** Why a program could not be loaded; `no-webassembly`: the host does not let any be compiled. */
export type VmErrorReason = 'unsupported' | 'invalid' | 'too-large' | 'unknown-engine' | 'unloaded' | 'no-webassembly';

/** A program that can't be made to run. `insn` is the instruction at fault. */
export class VmError extends Error {
  override readonly name = 'VmError';
  readonly code = 'VM_ERROR';
  readonly reason: VmErrorReason;
  readonly program: string;
  readonly insn: number | undefined;

  constructor(reason: VmErrorReason, program: string, detail: string, insn?: number) {
    super(`${program}${insn === undefined ? '' : ` insn ${insn}`}: ${detail}`);
    this.reason = reason;
    this.program = program;
    this.insn = insn;
  }
}

/**
 * Why a run stopped: `access` outside of what the program may touch, `fuel` used up, `call-depth` more than 8 frames,
 * `stack` no room for another run, `tail-call` into a slot that holds no program, `unreachable` code that the verifier proved dead.
 */
export type VmTrapReason = 'access' | 'fuel' | 'call-depth' | 'stack' | 'call' | 'unreachable';

export interface VmTrapPlace {
  /** The program that trapped, where a tail call led from the one that was run to another. */
  readonly program?: string | undefined;
  /** Instruction number, where it is known. */
  readonly insn?: number | undefined;
  /** Source line, where the program has line information. */
  readonly line?: string | undefined;
}

/** A run that stopped before its exit. */
export class VmTrap extends Error {
  override readonly name = 'VmTrap';
  readonly code = 'VM_TRAP';
  readonly reason: VmTrapReason;
  readonly program: string;
  readonly insn: number | undefined;
  readonly line: string | undefined;

  constructor(reason: VmTrapReason, program: string, place: VmTrapPlace = {}, options?: ErrorOptions) {
    const name = place.program ?? program;
    const at = place.insn === undefined ? '' : ` at insn ${place.insn}`;
    super(`${name}: trap (${reason})${at}${place.line === undefined ? '' : `: ${place.line}`}`, options);
    this.reason = reason;
    this.program = name;
    this.insn = place.insn;
    this.line = place.line;
  }
}

export function isVmTrap(error: unknown): error is VmTrap {
  return typeof error === 'object' && error !== null && (error as { code?: unknown }).code === 'VM_TRAP';
}
