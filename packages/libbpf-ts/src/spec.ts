/** What an object holds, as plain data that nothing changes: made by `parseObject`, read by `load`. */

import type { Btf, BtfExt } from '@libbpf-ts/btf';
import type { BpfInsn } from '@libbpf-ts/isa';
import type { LoaderErrorCode } from './errors.ts';

/** A fault of one program or map: the others can be loaded, this one is refused with it. */
export interface Fault {
  readonly code: LoaderErrorCode;
  readonly message: string;
  readonly insn?: number | undefined;
}

/** What an instruction of a program refers to. */
export type RelocationTarget =
  | { readonly kind: 'map'; readonly map: string }
  /** Address of a variable: `offset` bytes into the only value of a data map. */
  | { readonly kind: 'data'; readonly map: string; readonly offset: number }
  /** Call of, or pointer to, the function that begins at instruction `index` of a section. */
  | { readonly kind: 'call' | 'function'; readonly section: number; readonly index: number }
  /** A symbol that the object does not define. */
  | { readonly kind: 'extern'; readonly name: string };

export interface ProgramRelocation {
  /** Instruction of the program. */
  readonly insn: number;
  readonly target: RelocationTarget;
}

/** Program type and attach target that a section name stands for. */
export interface SectionKind {
  /** BPF_PROG_TYPE_*. */
  readonly type: number;
  /** BPF_*; 0 where the type has none. */
  readonly expected_attach_type: number;
  /** BPF_F_SLEEPABLE, BPF_F_XDP_HAS_FRAGS. */
  readonly prog_flags: number;
  /** What stands behind the `/` of the section name: the function, tracepoint, … to attach to. */
  readonly target: string | undefined;
  /** Whether the kernel's BTF must have the target, and under which prefix and kind. */
  readonly attachBtf?: { readonly prefix: string; readonly kind: 'FUNC' | 'TYPEDEF' } | undefined;
  /** How the type was found: a name of libbpf's table, a name that older loaders knew, or a guess. */
  readonly source: 'libbpf' | 'legacy' | 'guess';
}

export interface ProgramSpec extends SectionKind {
  readonly name: string;
  readonly section: string;
  /** Index of the ELF section. */
  readonly sectionIndex: number;
  /** First instruction inside the section. */
  readonly sectionInsn: number;
  /** The function's own instructions; those of subprograms are added when it is linked. */
  readonly insns: readonly BpfInsn[];
  readonly relocations: readonly ProgramRelocation[];
  /** A function that others call and that is no program by itself. */
  readonly subprogram: boolean;
  /** Whether `load` takes it by default; not for sections that begin with `?`. */
  readonly autoload: boolean;
  /** A hidden or internal symbol: its function is verified where it is called, not alone. */
  readonly hidden: boolean;
  /** Function that the kernel calls when the program throws (`exception_callback:` tag); it is linked in though nobody calls it. */
  readonly exceptionCallback: string | undefined;
  readonly fault: Fault | undefined;
}

/** How a map came into the object. */
export type MapOrigin = 'btf' | 'legacy' | 'rodata' | 'data' | 'bss' | 'kconfig' | 'struct_ops';

export interface MapSpec {
  readonly name: string;
  readonly origin: MapOrigin;
  readonly section: string;
  readonly sectionIndex: number;
  /** Bytes inside the section. */
  readonly offset: number;
  readonly map_type: number;
  readonly key_size: number;
  readonly value_size: number;
  readonly max_entries: number;
  readonly map_flags: number;
  readonly map_extra: bigint;
  readonly numa_node: number;
  /** Types in the object's BTF; 0 where there are none. */
  readonly btf_key_type_id: number;
  readonly btf_value_type_id: number;
  /** Pinned under its own name below the pin directory, and taken from there if it exists. */
  readonly pinByName: boolean;
  /** The value of `pinning` in the definition, whatever it means. */
  readonly pinning: number;
  /** Template of the inner maps of a map-in-map. */
  readonly inner: MapSpec | undefined;
  /** Slots with initial contents: a map (map-in-map) or a program (prog array). */
  readonly slots: readonly { readonly index: number; readonly target: string; readonly kind: 'map' | 'program' }[];
  /** First value of a data map; read-only for `rodata` and `kconfig`. */
  readonly data: Uint8Array | undefined;
  readonly fault: Fault | undefined;
}

export interface ExternSpec {
  readonly name: string;
  /** A weak one may stay unresolved: it is 0, or a call that must not be reached. */
  readonly weak: boolean;
  readonly kind: 'kconfig' | 'ksym' | 'kfunc' | 'unknown';
  /** Type in the object's BTF (of the VAR or FUNC); 0 where there is none. */
  readonly btf_id: number;
  /** Of kconfig externs: where the value stands in the `.kconfig` map. */
  readonly offset: number;
  readonly size: number;
}

/** A `SEC(".struct_ops")` variable: recorded, with the programs that its function pointers name. */
export interface StructOpsSpec {
  readonly name: string;
  /** Name of the kernel's structure, for example `tcp_congestion_ops`. */
  readonly type: string;
  /** Made for a link (`.struct_ops.link`). */
  readonly link: boolean;
  readonly data: Uint8Array;
  readonly programs: readonly { readonly member: string; readonly index: number; readonly program: string }[];
}

export interface ObjectSpec {
  readonly name: string;
  readonly license: string;
  /** `version` section, for kprobes of old kernels; 0 where there is none. */
  readonly kern_version: number;
  /** Entry programs in the order of their sections. */
  readonly programs: readonly ProgramSpec[];
  /** Functions that programs may call: all subprograms, and the programs themselves. */
  readonly functions: readonly ProgramSpec[];
  readonly maps: readonly MapSpec[];
  readonly externs: readonly ExternSpec[];
  readonly structOps: readonly StructOpsSpec[];
  readonly btf: Btf | undefined;
  readonly btfExt: BtfExt | undefined;
  /** What was left out or is odd, in words; nothing here stops a load. */
  readonly notes: readonly string[];
}
