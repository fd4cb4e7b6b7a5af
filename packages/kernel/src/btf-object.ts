/** BTF that a loader brought (BPF_BTF_LOAD), and the kernel's own. */

import { parseBtf, structRecords, type Btf, type RecordField, type RecordResult } from '@libbpf-ts/btf';
import { adaptBtf, type BtfField, type VerifierBtf } from '@libbpf-ts/verifier';

import type { Fork, Twinnable } from './fork.ts';
import type { Kernel } from './kernel.ts';
import { fieldsOf, kernelTypesOf } from './btf-record.ts';
import { KernelObject } from './object.ts';

export class BtfObject extends KernelObject implements Twinnable {
  readonly kind = 'btf' as const;
  readonly name: string;
  /** True for the kernel's own types (`kernel_btf` of its info). */
  readonly isKernel: boolean;
  readonly #bytes: () => Uint8Array;
  #btf: Btf | undefined;
  #view: VerifierBtf | undefined;

  /** `bytes` is called when the types are first needed, and once only. */
  constructor(kernel: Kernel, bytes: () => Uint8Array, options: { readonly name?: string; readonly isKernel?: boolean } = {}) {
    super(kernel);
    this.#bytes = bytes;
    this.name = options.name ?? '';
    this.isKernel = options.isKernel ?? false;
  }

  get btf(): Btf {
    return (this.#btf ??= parseBtf(this.#bytes()));
  }

  get bytes(): Uint8Array {
    return this.btf.bytes;
  }

  /** True once the types have been looked at. */
  get isBuilt(): boolean {
    return this.#btf !== undefined;
  }

  /** As the verifier reads it. */
  get verifierView(): VerifierBtf {
    return (this.#view ??= this.#makeView());
  }

  #makeView(): VerifierBtf {
    const view = adaptBtf(this.btf, this.isKernel, (id) => this.#fields?.get(id));
    if (this.isKernel) return view;
    const { structRecords: records } = this;
    this.#fields = records.ok
      ? new Map([...records.value].map(([id, fields]) => [id, fieldsOf(this.btf, view, fields)]))
      : new Map();
    return view;
  }
  #fields: ReadonlyMap<number, readonly BtfField[]> | undefined;

  /** The records of the structures that a program may allocate (`btf->struct_meta_tab`), or what is wrong with one. */
  get structRecords(): RecordResult<ReadonlyMap<number, readonly RecordField[]>> {
    return (this.#records ??= structRecords(this.btf, kernelTypesOf(this.kernel)));
  }
  #records: RecordResult<ReadonlyMap<number, readonly RecordField[]>> | undefined;

  makeTwin(fork: Fork): BtfObject {
    const twin = new BtfObject(fork.kernel, () => this.btf.bytes, { name: this.name, isKernel: this.isKernel });
    twin.#btf = this.#btf;
    twin.copyHolds(this);
    return twin;
  }

  protected free(): void {}
}
