/** Program types as the recorders ask for them (tools/oracle/variants.py), with the rules of the packages that own them. */

import { PROG_TYPE_OPS } from '@libbpf-ts/prog-types';
import { BPF_F_SLEEPABLE, BPF_PROG_TYPE_NAMES } from '@libbpf-ts/uapi';
import { schedActOps, schedClsOps } from '@libbpf-ts/verifier/protos';
import type { ProgFacts, VerifierCapabilities, VerifierOps } from '@libbpf-ts/verifier';
import { xdpVerifierOps } from '../../../xdp/src/verifier-ops.ts';

export const OPS: ReadonlyMap<number, VerifierOps> = new Map([
  ...PROG_TYPE_OPS,
  [3, schedClsOps],
  [4, schedActOps],
  [6, xdpVerifierOps],
]);

export interface Variant {
  readonly name: string;
  readonly prog_type: number;
  readonly attach_type: number;
  readonly flags: number;
  readonly attach_name: string;
  readonly ops: VerifierOps;
}

/** Variants as recorded, with the rules to hold against them. */
export function variant(row: Omit<Variant, 'ops' | 'name'>, name: string): Variant {
  const ops = OPS.get(row.prog_type);
  if (!ops) throw new Error(`no rules for ${BPF_PROG_TYPE_NAMES.get(row.prog_type)}`);
  return { ...row, name, ops };
}

export const ALL: VerifierCapabilities = { bpf: true, perfmon: true, sysAdmin: true, netAdmin: true };

export function factsOf(of: Variant, gplCompatible = true, capabilities: VerifierCapabilities = ALL): ProgFacts {
  return {
    prog_type: of.prog_type,
    expected_attach_type: of.attach_type,
    prog_flags: of.flags,
    sleepable: (of.flags & BPF_F_SLEEPABLE) !== 0,
    gplCompatible,
    capabilities,
    kernelBtf: undefined,
    attachName: of.attach_name || undefined,
  };
}
