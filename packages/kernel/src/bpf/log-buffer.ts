/** The log that a loader asks for: a buffer of the caller's, in which the end (or, if it asks so, the start) of the text remains. */

import { KernelError } from '@libbpf-ts/uapi';

import type { BpfCall } from '../call.ts';

const BPF_LOG_MASK = 0xf;
const BPF_LOG_FIXED = 8;
const encoder = new TextEncoder();

/** Mirrors kernel/bpf/log.c. */
export class LogBuffer {
  readonly level: number;
  readonly #call: BpfCall;
  readonly #address: bigint;
  readonly #size: number;
  readonly #argument: string;
  #text = '';
  #needs = 0;

  /** `bpf_vlog_init`. Throws EINVAL. */
  constructor(call: BpfCall, level: number, address: bigint, size: number, argument: string) {
    if ((address !== 0n) !== (size !== 0))
      throw new KernelError('EINVAL', 'a log needs a buffer and its size, or neither', `${argument}_buf`);
    if (address !== 0n && level === 0) throw new KernelError('EINVAL', 'a log buffer needs a log level', `${argument}_level`);
    if ((level & ~BPF_LOG_MASK) !== 0)
      throw new KernelError('EINVAL', `unknown bits in log level ${level}`, `${argument}_level`);
    if (size > 0xffff_ffff >>> 2) throw new KernelError('EINVAL', 'the log buffer is larger than 1 GiB', `${argument}_size`);
    this.level = level;
    this.#call = call;
    this.#address = address;
    this.#size = size;
    this.#argument = argument;
  }

  write(text: string): void {
    if (this.level !== 0) this.#text += text;
  }

  /** The text was longer for a while: it must have fitted then, too. */
  needs(trueSize: number): void {
    this.#needs = Math.max(this.#needs, trueSize);
  }

  /** Hands the text over (`bpf_vlog_finalize`): the bytes that all of it needs, and ENOSPC or EFAULT where they do not fit. */
  finish(): { readonly trueSize: number; readonly error: KernelError | undefined } {
    if (this.level === 0) return { trueSize: 0, error: undefined };
    const bytes = encoder.encode(this.#text);
    const trueSize = Math.max(this.#needs, bytes.length === 0 ? 0 : bytes.length + 1);
    if (this.#address === 0n) return { trueSize, error: undefined };
    const room = this.#size - 1;
    const kept =
      bytes.length <= room
        ? bytes
        : (this.level & BPF_LOG_FIXED) !== 0
          ? bytes.subarray(0, room)
          : bytes.subarray(bytes.length - room);
    try {
      if (bytes.length > 0) {
        this.#call.write(this.#address, kept, `${this.#argument}_buf`);
        this.#call.write(this.#address + BigInt(kept.length), new Uint8Array(1), `${this.#argument}_buf`);
      }
    } catch (error) {
      return { trueSize, error: error as KernelError };
    }
    const full = trueSize > this.#size;
    return {
      trueSize,
      error: full ? new KernelError('ENOSPC', `the log needs ${trueSize} bytes`, `${this.#argument}_size`) : undefined,
    };
  }
}
