/** Prototype rows as bits: `'ARG_PTR_TO_MEM | MEM_RDONLY'` read once a verification. */

import type { Env } from './env.ts';
import * as T from './regtype.ts';
import type { BpfFuncProto } from './types.ts';

/** One argument of a prototype. */
export interface ArgSpec {
  /** ARG_… without `_OR_NULL`. */
  readonly base: string;
  readonly flags: number;
  readonly size: number;
  readonly btf: string | undefined;
}

/** A prototype, read. */
export interface ProtoSpec {
  readonly proto: BpfFuncProto;
  readonly args: readonly ArgSpec[];
  readonly ret: { readonly base: string; readonly flags: number };
}

function parseType(text: string): { readonly base: string; readonly flags: number } {
  const [first, ...names] = text.split('|').map((part) => part.trim());
  let base = first!;
  let flags = 0;
  for (const name of names) {
    const bit = T.FLAG_BITS[name];
    if (bit === undefined) throw new Error(`unknown type flag ${name}`);
    flags |= bit;
  }
  if (base.endsWith('_OR_NULL')) {
    base = base.slice(0, -'_OR_NULL'.length);
    flags |= T.PTR_MAYBE_NULL;
  }
  if (base === 'ARG_PTR_TO_UNINIT_MEM') {
    base = 'ARG_PTR_TO_MEM';
    flags |= T.MEM_UNINIT | T.MEM_WRITE;
  } else if (base === 'ARG_PTR_TO_FIXED_SIZE_MEM') {
    base = 'ARG_PTR_TO_MEM';
    flags |= T.MEM_FIXED_SIZE;
  } else if (base === 'ARG_PTR_TO_UNINIT_MAP_VALUE') {
    base = 'ARG_PTR_TO_MAP_VALUE';
    flags |= T.MEM_UNINIT | T.MEM_WRITE;
  } else if (base === 'RET_PTR_TO_RINGBUF_MEM') {
    base = 'RET_PTR_TO_MEM';
    flags |= T.MEM_RINGBUF;
  } else if (base === 'RET_PTR_TO_DYNPTR_MEM') {
    base = 'RET_PTR_TO_MEM';
  } else if (base === 'RET_PTR_TO_BTF_ID_TRUSTED') {
    base = 'RET_PTR_TO_BTF_ID';
    flags |= T.PTR_TRUSTED;
  }
  return { base, flags };
}

/** `ARG_CONST_SIZE_OR_ZERO` and `ARG_CONST_ALLOC_SIZE_OR_ZERO` are bases of their own: they do not end in `_OR_NULL`. */
export function protoSpec(env: Env, proto: BpfFuncProto): ProtoSpec {
  let spec = env.protoSpecs.get(proto);
  if (!spec) {
    spec = {
      proto,
      args: proto.arg_types.map((type, i) => ({
        ...parseType(type),
        size: proto.arg_size?.[i] ?? 0,
        btf: proto.arg_btf_id?.[i],
      })),
      ret: parseType(proto.ret_type),
    };
    env.protoSpecs.set(proto, spec);
  }
  return spec;
}
