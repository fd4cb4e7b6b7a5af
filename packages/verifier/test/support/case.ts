/** Test programs in assembler text, and what becomes of them: a request to the verifier, or one to a live kernel. */

import { BtfBuilder, parseBtf } from '@libbpf-ts/btf';
import { assemble, encode } from '@libbpf-ts/isa';
import type { BpfInsn } from '@libbpf-ts/isa';
import { BPF_FUNC_NAMES, BPF_PROG_TYPE_NAMES } from '@libbpf-ts/uapi';
import type { VerifierBtf, VerifierCapabilities, VerifierRequest } from '@libbpf-ts/verifier';
import { adaptBtf } from '../../src/adapt-btf.ts';
import { MAPS, verifierMap } from './maps.ts';
import { OPS } from './program-types.ts';

/** What a test program is: its text, and how it is loaded. */
export interface Program {
  /** `sched_cls`. */
  readonly type: string;
  readonly attach?: number;
  readonly flags?: number;
  /** GPL where omitted. */
  readonly license?: string;
  /**
   * Assembler as packages/isa reads it, and: `r1 = map[NAME]`, `r1 = map[NAME][0]+4`, `call @LABEL`, `r2 = subprog[@LABEL]`,
   * `call kfunc NAME`; a line `.func NAME` or `.global NAME TYPE…` (types: int, ctx, long) begins a function that BTF describes.
   */
  readonly text: string;
  /** Only these capabilities: `BPF+NET_ADMIN`. */
  readonly caps?: string;
  /** In kernel BTF, for tp_btf, iterators and struct_ops: [kind, name]. */
  readonly attach_to?: readonly [string, string];
}

/** A program that is assembled. */
export interface Assembled {
  readonly program: Program;
  readonly insns: readonly BpfInsn[];
  /** Map loads hold an index into this. */
  readonly use: readonly string[];
  readonly btf?: Uint8Array;
  readonly func_info: readonly (readonly [number, number])[];
  readonly kfuncs: Readonly<Record<string, string>>;
}

const PROG_TYPES = new Map(
  [...BPF_PROG_TYPE_NAMES].map(([id, name]) => [name.replace('BPF_PROG_TYPE_', '').toLowerCase(), id]),
);
const HELPERS = new Map([...BPF_FUNC_NAMES].map(([id, name]) => [name.replace('BPF_FUNC_', 'bpf_'), id]));

export function progType(name: string): number {
  const found = PROG_TYPES.get(name);
  if (found === undefined) throw new Error(`no program type ${name}`);
  return found;
}

interface FuncLine {
  readonly at: number;
  readonly name: string;
  readonly types: readonly string[];
  readonly linkage: 0 | 1;
}

/** Assembles the text of a program. */
export function assembleProgram(program: Program): Assembled {
  const use: string[] = [];
  const kfuncs: Record<string, string> = {};
  const funcs: FuncLine[] = [];
  const labels = new Map<string, number>();
  const lines: { at: number; text: string }[] = [];
  let at = 0;
  for (const raw of program.text.split('\n')) {
    let text = raw.replace(/(;|\/\/).*$/, '').trim();
    const label = /^([A-Za-z_]\w*):$/.exec(text);
    if (text === '') continue;
    if (label) {
      labels.set(label[1]!, at);
      lines.push({ at, text });
      continue;
    }
    const func = /^\.(func|global) (\w+)(.*)$/.exec(text);
    if (func) {
      labels.set(func[2]!, at);
      funcs.push({
        at,
        name: func[2]!,
        types: func[3]!.trim().split(/\s+/).filter(Boolean),
        linkage: func[1] === 'global' ? 1 : 0,
      });
      continue;
    }
    text = text.replace(/map\[([a-z_]\w*)\]/, (_, name: string) => {
      if (!MAPS[name]) throw new Error(`no map ${name}`);
      if (!use.includes(name)) use.push(name);
      return `map[fd:${use.indexOf(name)}]`;
    });
    const kfunc = /^call kfunc (\w+)$/.exec(text);
    if (kfunc) {
      kfuncs[at] = kfunc[1]!;
      text = 'call kernel-function#0';
    }
    lines.push({ at, text });
    at += slots(text);
  }
  const source = lines.map((line) =>
    line.text
      .replace(/^call @(\w+)$/, (_, name: string) => `call pc${signed(target(labels, name) - line.at - 1)}`)
      .replace(/subprog\[@(\w+)\]/, (_, name: string) => `subprog[${signed(target(labels, name) - line.at - 1)}]`),
  );
  const insns = assemble(source.join('\n'), { helperId: (name) => HELPERS.get(name) });
  const described = funcs.length > 0 ? describe(funcs) : undefined;
  return { program, insns, use, kfuncs, func_info: described?.func_info ?? [], ...(described ? { btf: described.btf } : {}) };
}

const signed = (value: number): string => (value < 0 ? `${value}` : `+${value}`);

function target(labels: ReadonlyMap<string, number>, name: string): number {
  const found = labels.get(name);
  if (found === undefined) throw new Error(`no label ${name}`);
  return found;
}

function slots(text: string): number {
  return /^r\d+ = (map\[|ksym|subprog\[|0x[0-9a-fA-F]+$|-?(0x)?[0-9a-fA-F]+ ll$)/.test(text) ? 2 : 1;
}

function describe(funcs: readonly FuncLine[]): { btf: Uint8Array; func_info: [number, number][] } {
  const btf = new BtfBuilder();
  const int = btf.int('int', 4, 1);
  const long = btf.int('long', 8, 1);
  const ctx = btf.ptr(btf.struct('__sk_buff', 0, []));
  const types: Readonly<Record<string, number>> = { int, long, ctx, 'long*': btf.ptr(long), 'int*': btf.ptr(int) };
  const func_info = funcs.map(({ at, name, types: params, linkage }): [number, number] => {
    const proto = btf.funcProto(
      int,
      params.map((param, index) => ({ name: `a${index}`, type: types[param]! })),
    );
    return [at, btf.func(name, proto, linkage)];
  });
  return { btf: btf.encode(), func_info };
}

/** The request that tools/oracle/serve.py understands. */
export function liveRequest(of: Assembled): object {
  const { program } = of;
  return {
    type: progType(program.type),
    attach: program.attach ?? 0,
    flags: program.flags ?? 0,
    license: program.license ?? 'GPL',
    insns: Buffer.from(encode(of.insns)).toString('hex'),
    use: of.use,
    ...(of.btf ? { btf: Buffer.from(of.btf).toString('hex'), func_info: of.func_info } : {}),
    ...(Object.keys(of.kfuncs).length > 0 ? { kfuncs: of.kfuncs } : {}),
    ...(program.attach_to ? { attach_to: program.attach_to } : {}),
  };
}

const KINDS = { func: 'FUNC', typedef: 'TYPEDEF', struct: 'STRUCT' } as const;

function attached({ attach_to }: Program, kernelBtf: VerifierBtf): Pick<VerifierRequest, 'attach_btf_id'> {
  return attach_to ? { attach_btf_id: kernelBtf.find(attach_to[1], KINDS[attach_to[0] as keyof typeof KINDS]) } : {};
}

function withKfuncs({ insns, kfuncs }: Assembled, kernelBtf?: VerifierBtf): readonly BpfInsn[] {
  if (!kernelBtf || Object.keys(kfuncs).length === 0) return insns;
  return insns.map((insn, at) =>
    kfuncs[at] && insn.code === 0x85 && insn.src_reg === 2 ? { ...insn, imm: kernelBtf.find(kfuncs[at], 'FUNC') } : insn,
  );
}

/** `BPF+NET_ADMIN` as the verifier takes it. */
export function capabilitiesOf(names: string): VerifierCapabilities {
  const has = (name: string): boolean => names.split('+').includes(name);
  return { bpf: has('BPF'), perfmon: has('PERFMON'), netAdmin: has('NET_ADMIN'), sysAdmin: has('SYS_ADMIN') };
}

/** The same for the verifier. */
export function verifierRequest(of: Assembled, kernelBtf?: VerifierBtf): VerifierRequest {
  const { program } = of;
  const maps = of.use.map((name, index) => verifierMap(name, index + 1));
  const btf = of.btf ? adaptBtf(parseBtf(of.btf), false) : undefined;
  const prog_type = progType(program.type);
  const ops = OPS.get(prog_type);
  if (!ops) throw new Error(`no rules for ${program.type}`);
  return {
    insns: withKfuncs(of, kernelBtf),
    name: '',
    prog_type,
    expected_attach_type: program.attach ?? 0,
    prog_flags: program.flags ?? 0,
    gplCompatible: (program.license ?? 'GPL') === 'GPL',
    ops,
    resolveMap: (fd) => maps[fd],
    ...(btf ? { btf, func_info: of.func_info.map(([insn_off, type_id]) => ({ insn_off, type_id })) } : {}),
    ...(kernelBtf ? { kernelBtf, ...attached(program, kernelBtf) } : {}),
    ...(program.caps ? { capabilities: capabilitiesOf(program.caps) } : {}),
    log_level: 1,
  };
}
