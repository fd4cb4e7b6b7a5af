/** What a caller hands to the verifier and what it gets back; and the rows that describe helpers. Names as in `linux/bpf.h`. */

import type { BpfInsn } from '@libbpf-ts/isa';
import type { ErrnoName } from '@libbpf-ts/uapi';
import type { Diagnostic } from './diagnostics.ts';
import type { VerifierOps } from './ops.ts';

/** The base of `enum bpf_arg_type`. */
export type ArgBaseType =
  | 'ARG_DONTCARE'
  | 'ARG_CONST_MAP_PTR'
  | 'ARG_PTR_TO_MAP_KEY'
  | 'ARG_PTR_TO_MAP_VALUE'
  | 'ARG_PTR_TO_UNINIT_MAP_VALUE'
  | 'ARG_PTR_TO_MEM'
  | 'ARG_PTR_TO_UNINIT_MEM'
  | 'ARG_PTR_TO_FIXED_SIZE_MEM'
  | 'ARG_PTR_TO_ARENA'
  | 'ARG_CONST_SIZE'
  | 'ARG_CONST_SIZE_OR_ZERO'
  | 'ARG_PTR_TO_CTX'
  | 'ARG_ANYTHING'
  | 'ARG_PTR_TO_SPIN_LOCK'
  | 'ARG_PTR_TO_SOCK_COMMON'
  | 'ARG_PTR_TO_SOCKET'
  | 'ARG_PTR_TO_BTF_ID'
  | 'ARG_PTR_TO_RINGBUF_MEM'
  | 'ARG_CONST_ALLOC_SIZE_OR_ZERO'
  | 'ARG_PTR_TO_BTF_ID_SOCK_COMMON'
  | 'ARG_PTR_TO_PERCPU_BTF_ID'
  | 'ARG_PTR_TO_FUNC'
  | 'ARG_PTR_TO_STACK'
  | 'ARG_PTR_TO_CONST_STR'
  | 'ARG_PTR_TO_TIMER'
  | 'ARG_KPTR_XCHG_DEST'
  | 'ARG_PTR_TO_DYNPTR'
  | 'ARG_PTR_TO_MAP_VALUE_OR_NULL'
  | 'ARG_PTR_TO_MEM_OR_NULL'
  | 'ARG_PTR_TO_CTX_OR_NULL'
  | 'ARG_PTR_TO_SOCKET_OR_NULL'
  | 'ARG_PTR_TO_STACK_OR_NULL'
  | 'ARG_PTR_TO_BTF_ID_OR_NULL';

/** Modifiers of argument and return types (`enum bpf_type_flag`). */
export type TypeFlag =
  | 'PTR_MAYBE_NULL'
  | 'MEM_RDONLY'
  | 'MEM_RINGBUF'
  | 'MEM_USER'
  | 'MEM_PERCPU'
  | 'OBJ_RELEASE'
  | 'PTR_UNTRUSTED'
  | 'MEM_UNINIT'
  | 'MEM_WRITE'
  | 'MEM_FIXED_SIZE'
  | 'MEM_ALIGNED'
  | 'MEM_ALLOC'
  | 'PTR_TRUSTED'
  | 'MEM_RCU'
  | 'DYNPTR_TYPE_LOCAL'
  | 'DYNPTR_TYPE_RINGBUF'
  | 'DYNPTR_TYPE_SKB'
  | 'DYNPTR_TYPE_XDP';

/** An argument as the kernel writes it: `'ARG_PTR_TO_MEM | MEM_RDONLY | PTR_MAYBE_NULL'`. */
export type ArgType = ArgBaseType | `${ArgBaseType} | ${string}`;

/** `enum bpf_return_type`, its `_OR_NULL` forms included. */
export type RetBaseType =
  | 'RET_INTEGER'
  | 'RET_VOID'
  | 'RET_PTR_TO_MAP_VALUE'
  | 'RET_PTR_TO_SOCKET'
  | 'RET_PTR_TO_TCP_SOCK'
  | 'RET_PTR_TO_SOCK_COMMON'
  | 'RET_PTR_TO_MEM'
  | 'RET_PTR_TO_MEM_OR_BTF_ID'
  | 'RET_PTR_TO_BTF_ID'
  | 'RET_PTR_TO_MAP_VALUE_OR_NULL'
  | 'RET_PTR_TO_SOCKET_OR_NULL'
  | 'RET_PTR_TO_TCP_SOCK_OR_NULL'
  | 'RET_PTR_TO_SOCK_COMMON_OR_NULL'
  | 'RET_PTR_TO_RINGBUF_MEM_OR_NULL'
  | 'RET_PTR_TO_DYNPTR_MEM_OR_NULL'
  | 'RET_PTR_TO_BTF_ID_OR_NULL'
  | 'RET_PTR_TO_BTF_ID_TRUSTED';

/** A return type as the kernel writes it: `'RET_PTR_TO_MEM_OR_BTF_ID | PTR_MAYBE_NULL'`. */
export type RetType = RetBaseType | `${RetBaseType} | ${string}`;

/** A helper's prototype (`struct bpf_func_proto`): one row, read by verifier, engines and documentation. */
export interface BpfFuncProto {
  /** With the prefix: `bpf_map_lookup_elem`. */
  readonly name: string;
  /** BPF_FUNC_* number. */
  readonly id: number;
  readonly ret_type: RetType;
  /** Up to five; what is missing is ARG_DONTCARE. */
  readonly arg_types: readonly ArgType[];
  /** Bytes, for MEM_FIXED_SIZE arguments, by argument index (0..4). */
  readonly arg_size?: readonly (number | undefined)[];
  /** Names of kernel structs that ARG_PTR_TO_BTF_ID arguments must be, by argument index (0..4). */
  readonly arg_btf_id?: readonly (string | undefined)[];
  /** Name of the kernel struct that RET_PTR_TO_BTF_ID points to. */
  readonly ret_btf_id?: string;
  readonly gpl_only?: boolean;
  /** The helper may read or write packet memory through its ARG_PTR_TO_MEM arguments. */
  readonly pkt_access?: boolean;
  readonly might_sleep?: boolean;
  readonly allow_fastcall?: boolean;
  /** After the call every packet pointer is void (`bpf_helper_changes_pkt_data`). */
  readonly changesPacketData?: boolean;
  /** The result is a user-visible error code in −4095..0 or a byte count, bounded by the verifier (`do_refine_retval_range`). */
  readonly returnRange?: { readonly min: number; readonly max: number };
}

/** A kfunc's prototype: its types come from kernel BTF, its flags from the set that registers it. */
export interface KfuncRow {
  readonly name: string;
  /** KF_ACQUIRE, KF_RELEASE, KF_RET_NULL, KF_TRUSTED_ARGS, KF_SLEEPABLE, KF_DESTRUCTIVE, KF_RCU, KF_ITER_NEW, … */
  readonly flags: readonly string[];
}

/** A field of a map value, allocated object or local type that the kernel manages (`struct btf_field`). */
export interface BtfField {
  readonly type:
    | 'BPF_SPIN_LOCK'
    | 'BPF_RES_SPIN_LOCK'
    | 'BPF_TIMER'
    | 'BPF_WORKQUEUE'
    | 'BPF_TASK_WORK'
    | 'BPF_KPTR_UNREF'
    | 'BPF_KPTR_REF'
    | 'BPF_KPTR_PERCPU'
    | 'BPF_UPTR'
    | 'BPF_LIST_HEAD'
    | 'BPF_LIST_NODE'
    | 'BPF_RB_ROOT'
    | 'BPF_RB_NODE'
    | 'BPF_REFCOUNT';
  readonly offset: number;
  readonly size: number;
  /** For kptrs: the struct pointed to, and its id in the BTF named by `kernel` (kernel BTF) or the program's own. */
  readonly structName?: string;
  readonly btf_id?: number;
  readonly kernel?: boolean;
  /** For list heads and tree roots (and kptrs of local types): the BTF that `btf_id` is in. */
  readonly btf?: VerifierBtf;
  /** For list heads and tree roots: offset of the node in an element. */
  readonly nodeOffset?: number;
}

/** What the verifier needs to know of a map. */
export interface VerifierMap {
  readonly id: number;
  /** What a program holds as its map pointer; 0 where nothing will run. */
  readonly address: number;
  readonly map_type: number;
  readonly key_size: number;
  readonly value_size: number;
  readonly max_entries: number;
  readonly map_flags: number;
  readonly name: string;
  /** Managed fields of the value. */
  readonly record?: readonly BtfField[];
  /** Template of a map in map. */
  readonly inner?: VerifierMap;
  /** Read-only for programs and for syscalls, so its contents are constants: reads `size` (1, 2, 4, 8) bytes, little endian; undefined where the contents may change. */
  readonly frozenValue?: (off: number, size: number) => { readonly low: number; readonly high: number } | undefined;
  /** Address of byte `off` of the value, for BPF_PSEUDO_MAP_VALUE (only arrays with one element and arenas have one). */
  readonly valueAddress?: (off: number) => number;
  /** BTF of key and value, where the map was created with it. */
  readonly btf?: VerifierBtf;
  readonly btf_value_type_id?: number;
}

/** Kinds as BTF names them, without the prefix BTF_KIND_. */
export type BtfKindName =
  | 'UNKN'
  | 'INT'
  | 'PTR'
  | 'ARRAY'
  | 'STRUCT'
  | 'UNION'
  | 'ENUM'
  | 'FWD'
  | 'TYPEDEF'
  | 'VOLATILE'
  | 'CONST'
  | 'RESTRICT'
  | 'FUNC'
  | 'FUNC_PROTO'
  | 'VAR'
  | 'DATASEC'
  | 'FLOAT'
  | 'DECL_TAG'
  | 'TYPE_TAG'
  | 'ENUM64';

export interface BtfMemberView {
  readonly name: string;
  readonly type: number;
  readonly bitOffset: number;
  /** 0 where the member is no bit field. */
  readonly bitSize: number;
}

/** One BTF type, as far as the verifier looks. */
export interface BtfTypeView {
  readonly kind: BtfKindName;
  readonly name: string;
  /** Bytes: INT, STRUCT, UNION, ENUM, FLOAT, DATASEC. */
  readonly size: number;
  /** The type referred to: PTR, TYPEDEF, modifiers, FUNC (its prototype), FUNC_PROTO (its return), VAR, ARRAY (its element), DECL_TAG. */
  readonly type: number;
  /** STRUCT, UNION; of a DATASEC its variables, without names. */
  readonly members: readonly BtfMemberView[];
  readonly params: readonly { readonly name: string; readonly type: number }[];
  /** ARRAY. */
  readonly nelems: number;
  /** INT. */
  readonly signed: boolean;
  /** FUNC: 0 static, 1 global, 2 extern. */
  readonly linkage: number;
  /** DECL_TAG: index of the parameter or member, −1 for the whole. */
  readonly componentIdx: number;
}

/** The narrow view of BTF that the verifier reads through; `adaptBtf` makes one of a `Btf` of `@libbpf-ts/btf`. */
export interface VerifierBtf {
  /** True for the kernel's own types. */
  readonly kernel: boolean;
  /** Number of types, id 0 (void) included. */
  readonly count: number;
  type(id: number): BtfTypeView | undefined;
  /** Id of the first type of that name and kind; 0 where there is none. */
  find(name: string, kind: BtfKindName): number;
  /** Decl tags that point at `id`. */
  declTags(id: number): readonly { readonly name: string; readonly componentIdx: number }[];
  /** Managed fields of a structure that a program may allocate; undefined where it has none (`btf_find_struct_meta`). */
  record?(id: number): readonly BtfField[] | undefined;
}

/** Capabilities that matter here, of the user namespace or token that loads. */
export interface VerifierCapabilities {
  readonly bpf: boolean;
  readonly perfmon: boolean;
  readonly sysAdmin: boolean;
  readonly netAdmin: boolean;
}

/** One row of func_info (`struct bpf_func_info`). */
export interface FuncInfo {
  readonly insn_off: number;
  readonly type_id: number;
}

/** One row of line_info (`struct bpf_line_info`), its strings read. */
export interface LineInfo {
  readonly insn_off: number;
  readonly fileName: string;
  readonly line: string;
  readonly lineNumber: number;
  readonly column: number;
}

/** A program to be judged. */
export interface VerifierRequest {
  readonly insns: readonly BpfInsn[];
  readonly name: string;
  readonly prog_type: number;
  readonly expected_attach_type: number;
  readonly prog_flags: number;
  readonly gplCompatible: boolean;
  readonly ops: VerifierOps;
  /** The map behind an fd (BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE); undefined refuses with EBADF. */
  readonly resolveMap: (fd: number) => VerifierMap | undefined;
  /** The maps of fd_array (BPF_PSEUDO_MAP_IDX…), by index. */
  readonly fdArray?: readonly (VerifierMap | undefined)[];
  /** The program's own BTF. */
  readonly btf?: VerifierBtf;
  readonly func_info?: readonly FuncInfo[];
  readonly line_info?: readonly LineInfo[];
  readonly kernelBtf?: VerifierBtf;
  /** Addresses of kernel variables that programs may name (`kallsyms_lookup_name`); without it the kernel has none. */
  readonly symbolAddress?: (name: string) => bigint | undefined;
  /** For TRACING, LSM, EXT, STRUCT_OPS: the type attached to (id in kernelBtf, or in attachProgBtf). */
  readonly attach_btf_id?: number;
  /** All capabilities where omitted. */
  readonly capabilities?: VerifierCapabilities;
  /** Bits: 1 and 2 verbosity, 4 statistics; 0 no log. */
  readonly log_level?: number;
  /** Bytes of the log buffer; where the text is longer the result is ENOSPC. Unlimited where omitted. */
  readonly log_size?: number;
  /** CPUs that the kernel may have: bpf_get_smp_processor_id is below that. 2 where omitted. */
  readonly cpus?: number;
  /** Records a tree of states (`VerifierResult.trace`). */
  readonly trace?: boolean;
}

/** A function of the program: [start, end) in instruction slots. Same shape as the engines' Subprogram. */
export interface VerifiedSubprogram {
  readonly start: number;
  readonly end: number;
  readonly name: string;
  /** Bytes of stack that it uses, rounded up to 8 (0..512). */
  readonly stackDepth: number;
  /** A callback: its address is loaded by an instruction. */
  readonly addressTaken: boolean;
  readonly isGlobal: boolean;
  readonly hasTailCall: boolean;
}

/** What one call instruction calls. */
export type VerifiedCall =
  | { readonly kind: 'helper'; readonly id: number; readonly proto: BpfFuncProto; readonly map?: VerifierMap }
  | { readonly kind: 'kfunc'; readonly name: string; readonly btf_id: number };

export interface VerifierStats {
  /** Instructions examined over all paths: `processed N insns`. */
  readonly processed: number;
  readonly maxStatesPerInsn: number;
  readonly totalStates: number;
  readonly peakStates: number;
  readonly longestMarkRead: number;
  /** Instructions that remain when what never runs is taken out. */
  readonly liveInsns: number;
}

/** A node of the tree of explored paths. */
export interface TraceEvent {
  readonly kind: 'branch' | 'take' | 'prune' | 'exit' | 'error' | 'callback';
  readonly insn: number;
  /** The instruction that the path came from. */
  readonly from: number;
  readonly text: string;
}

interface VerifierOutcome {
  /** The log as the kernel would write it, without the closing NUL, cut at log_size − 1. */
  readonly log: string;
  /** Bytes that the whole log needs, NUL included (`log_true_size`); 0 without a log. */
  readonly log_true_size: number;
  readonly stats: VerifierStats;
  readonly trace: readonly TraceEvent[];
}

export interface VerifierSuccess extends VerifierOutcome {
  readonly ok: true;
  readonly subprograms: readonly VerifiedSubprogram[];
  /** ld_imm64 (first slot) → value: map pointers, addresses into map values, ksyms. */
  readonly constants: ReadonlyMap<number, bigint>;
  /** ld_imm64 of a subprogram's address → index in `subprograms`. */
  readonly functions: ReadonlyMap<number, number>;
  /** Call instruction → helper (with the map where it is always the same) or kfunc. */
  readonly calls: ReadonlyMap<number, VerifiedCall>;
  /** 1 where an instruction never runs. */
  readonly dead: Uint8Array;
  /** Loads through BTF pointers that may fault and then read zero. */
  readonly probeLoads: ReadonlySet<number>;
  /** Every map that the program names, in order of first use. */
  readonly usedMaps: readonly VerifierMap[];
  /** True where a stack deeper than 512 is allowed because every frame has its own. */
  readonly privateStack: boolean;
  /** End of the furthest access to the context, in bytes: BPF_PROG_TEST_RUN of some types wants a context of that size. */
  readonly maxCtxOffset: number;
}

export interface VerifierFailure extends VerifierOutcome {
  readonly ok: false;
  readonly errno: ErrnoName;
  readonly diagnostics: readonly Diagnostic[];
}

export type VerifierResult = VerifierSuccess | VerifierFailure;
