/** The context of a custom hook: what programs see of it, and its bytes in the arena. */

import type { VerifierOps } from '@libbpf-ts/verifier';
import { bpf_base_func_proto, contextRule, field, PACKET, PACKET_END } from '@libbpf-ts/verifier/protos';
import type { FuncProtoRule } from '@libbpf-ts/verifier/protos';
import type { Struct, StructField } from '@libbpf-ts/uapi';
import type { Arena } from '@libbpf-ts/vm';

export interface ContextOptions<S extends Struct> {
  /**
   * The layout. Two u32 fields named `data` and `data_end` are pointers to the payload of a run, which programs must compare as they do
   * for packets.
   */
  readonly context: S;
  /** Fields that programs may write; the payload is read-only. */
  readonly writable?: readonly string[];
  /** Which helpers the verifier lets programs call; the set that every program type has by default. */
  readonly funcProto?: FuncProtoRule;
}

/** Access sizes up to a field's own. */
const narrower = (size: number): number => (size >= 8 ? 15 : size >= 4 ? 7 : size >= 2 ? 3 : 1);

function rowOf({ name, offset, type }: StructField, writable: boolean): ReturnType<typeof field> {
  if (name === 'data') return field(name, offset, 4, 4, 0, { gives: PACKET });
  if (name === 'data_end') return field(name, offset, 4, 4, 0, { gives: PACKET_END });
  const plain = type.kind === 'integer';
  const sizes = plain ? narrower(type.size) : 15;
  return field(name, offset, type.size, sizes, writable ? (plain ? type.size : sizes) : 0);
}

/** The verifier's rules for programs of the hook; `codes` are all that they may return. */
export function hookVerifier<S extends Struct>(
  options: ContextOptions<S>,
  codes: readonly number[] | undefined,
  name: string,
): VerifierOps {
  const { context, writable = [] } = options;
  const isValidAccess = contextRule(context.fields.map((each) => rowOf(each, writable.includes(each.name))));
  const range = codes && { min: Math.min(...codes), max: Math.max(...codes) };
  return {
    name,
    isValidAccess,
    funcProto: options.funcProto ?? bpf_base_func_proto,
    contextStruct: context.name,
    packetRead: context.fields.some((each) => each.name === 'data'),
    // A program in C returns an int: its upper half is nobody's business.
    ...(range ? { returnRange: () => ({ ...range, return32: true }) } : {}),
  };
}

/** A context in use; `payload` is the address of its bytes, 0 where there are none. */
export interface OpenContext {
  readonly address: number;
  readonly payload: number;
}

export class HookContexts<S extends Struct> {
  readonly #arena: Arena;
  readonly #options: ContextOptions<S>;
  readonly #free: number[];

  constructor(arena: Arena, options: ContextOptions<S>, free: readonly number[] = []) {
    this.#arena = arena;
    this.#options = options;
    this.#free = [...free];
  }

  get layout(): S {
    return this.#options.context;
  }

  /** Puts bytes and payload into the arena. Runs nest, so each has a context of its own. */
  open(bytes: Uint8Array, payload: Uint8Array | undefined): OpenContext {
    const address = this.#free.pop() ?? this.#arena.allocate(this.layout.size);
    const at = payload?.length ? this.#arena.allocate(payload.length) : 0;
    this.#arena.u8.set(bytes, address);
    if (payload && at !== 0) this.#arena.u8.set(payload, at);
    if (this.layout.fields.some(({ name }) => name === 'data')) {
      this.#arena.view.setUint32(address + this.layout.offsetOf('data'), at || address, true);
      this.#arena.view.setUint32(address + this.layout.offsetOf('data_end'), at === 0 ? address : at + payload!.length, true);
    }
    return { address, payload: at };
  }

  /** The context's bytes as programs left them. */
  bytes({ address }: OpenContext): Uint8Array {
    return this.#arena.u8.slice(address, address + this.layout.size);
  }

  give({ address, payload }: OpenContext): void {
    if (payload !== 0) this.#arena.free(payload);
    this.#free.push(address);
  }

  drain(): void {
    for (const address of this.#free.splice(0)) this.#arena.free(address);
  }

  twin(arena: Arena): HookContexts<S> {
    return new HookContexts(arena, this.#options, this.#free);
  }
}
