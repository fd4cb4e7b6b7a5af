/** From what the verifier found to what an engine is given: addresses of maps, helpers of this kernel. */

import { BPF_MAP_TYPE_ARENA } from '@libbpf-ts/uapi';
import type { VerifiedCall } from '@libbpf-ts/verifier';
import type { CallTarget, Fixups, Subprogram, VmHelper, VmProgram } from '@libbpf-ts/vm';

import type { Kernel } from './kernel.ts';
import type { BpfProg } from './prog.ts';
import type { ProgTypeOps } from './prog-type.ts';

/**
 * The image of a program in `kernel`. Its side tables are made when an engine first looks: a fork makes images of all programs before
 * its helpers exist.
 */
export function buildImage(kernel: Kernel, prog: BpfProg): VmProgram {
  if (prog.attributes.verified.usedMaps.some(({ map_type }) => map_type === BPF_MAP_TYPE_ARENA))
    return refusingImage(kernel, prog);
  const { name, insns, verified } = prog.attributes;
  let fixups: Fixups | undefined;
  return {
    name: name === '' ? `prog ${prog.id}` : name,
    insns,
    subprograms: verified.subprograms as readonly Subprogram[],
    get fixups(): Fixups {
      return (fixups ??= buildFixups(kernel, prog));
    },
    ...(prog.attributes.lineInfo.length > 0 ? { lineOf: (insn: number) => lineOf(prog, insn) } : {}),
  };
}

/** The engines have one memory: a program that names an arena says so instead of running. */
function refusingImage(kernel: Kernel, prog: BpfProg): VmProgram {
  const { name, type } = prog.attributes;
  const calls = new Map<number, CallTarget>();
  const image: VmProgram = {
    name: name === '' ? `prog ${prog.id}` : name,
    insns: [
      { code: 0x85, dst_reg: 0, src_reg: 0, off: 0, imm: 0 },
      { code: 0x95, dst_reg: 0, src_reg: 0, off: 0, imm: 0 },
    ],
    subprograms: [{ start: 0, end: 2, name, stackDepth: 0, addressTaken: false }],
    fixups: { constants: new Map(), functions: new Map(), calls },
  };
  calls.set(0, { helper: missingHelper(kernel, kernel.progTypes.get(type)!, 'the memory of arenas') });
  return image;
}

function buildFixups(kernel: Kernel, prog: BpfProg): Fixups {
  const { verified, type } = prog.attributes;
  const ops = kernel.progTypes.get(type)!;
  const calls = new Map<number, CallTarget>();
  for (const [insn, call] of verified.calls) calls.set(insn, callTarget(kernel, ops, call));
  return {
    constants: verified.constants,
    functions: verified.functions,
    calls,
    dead: verified.dead,
    probeLoads: verified.probeLoads,
    ...(ops.packetLoad ? { packetLoad: kernel.helperOf(ops.packetLoad) } : {}),
  };
}

function callTarget(kernel: Kernel, ops: ProgTypeOps, call: VerifiedCall): CallTarget {
  if (call.kind === 'kfunc') {
    const factory = ops.kfunc?.(call.name) ?? kernel.kfuncs.get(call.name);
    return { helper: factory ? kernel.helperOf(factory) : missingHelper(kernel, ops, call.name) };
  }
  const factory = ops.helper?.(call.id) ?? kernel.helpers.get(call.id);
  const helper = factory ? kernel.helperOf(factory) : missingHelper(kernel, ops, call.proto.name);
  const { map } = call;
  if (!map) return { helper };
  const { address, map_type, key_size, value_size, max_entries } = map;
  return { helper, map: { address, map_type, key_size, value_size, max_entries } };
}

/** Thrown when a program calls a helper that the verifier allows and this kernel does not have. */
export class MissingHelperError extends Error {
  override readonly name = 'MissingHelperError';
  readonly code = 'MISSING_HELPER';
  readonly helper: string;

  constructor(helper: string, progType: string) {
    super(`this kernel has no implementation of ${helper} for ${progType} programs`);
    this.helper = helper;
  }
}

function missingHelper(kernel: Kernel, ops: ProgTypeOps, name: string): VmHelper {
  return {
    name,
    args: ['u64', 'u64', 'u64', 'u64', 'u64'],
    returns: 'u64',
    run: () => {
      throw new MissingHelperError(name, ops.name);
    },
  };
}

function lineOf(prog: BpfProg, insn: number): string | undefined {
  const { lineInfo } = prog.attributes;
  const view = new DataView(lineInfo.buffer, lineInfo.byteOffset, lineInfo.byteLength);
  let found: string | undefined;
  for (let at = 0; at + 16 <= lineInfo.length; at += 16) {
    if (view.getUint32(at, true) > insn) break;
    const btf = prog.btf?.btf;
    const line = view.getUint32(at + 12, true) >>> 10;
    found = btf
      ? `${btf.string(view.getUint32(at + 4, true))}:${line}: ${btf.string(view.getUint32(at + 8, true)).trim()}`
      : undefined;
  }
  return found;
}
