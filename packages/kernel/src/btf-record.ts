/** Records of values as the verifier reads them, and what they ask of the kernel's own types. */

import type { Btf, KernelTypes, RecordField } from '@libbpf-ts/btf';
import type { BtfField, VerifierBtf } from '@libbpf-ts/verifier';

import type { Kernel } from './kernel.ts';

/** Types whose objects a map or structure may own: those with a registered destructor (`btf_find_dtor_kfunc`). */
const DESTRUCTORS: ReadonlySet<string> = new Set([
  'task_struct',
  'cgroup',
  'bpf_cpumask',
  'bpf_crypto_ctx',
  'prog_test_ref_kfunc',
  'prog_test_member',
]);

export function kernelTypesOf(kernel: Kernel): KernelTypes {
  return {
    find: (name, kind) => kernel.kernelBtf.btf.idsByName(name, kind)[0] ?? 0,
    hasDestructor: (name) => DESTRUCTORS.has(name),
  };
}

/** `view` is `btf` as the verifier reads it. */
export function fieldsOf(btf: Btf, view: VerifierBtf, fields: readonly RecordField[]): BtfField[] {
  return fields.map(({ kind, offset, size, type_id, kernel_id, node_offset }): BtfField => {
    const field: BtfField = { type: `BPF_${kind}`, offset, size };
    if (type_id === undefined) return field;
    const { name } = btf.type(type_id);
    if (node_offset !== undefined) return { ...field, structName: name, btf: view, btf_id: type_id, nodeOffset: node_offset };
    const isKernel = kernel_id !== 0;
    return {
      ...field,
      structName: name,
      btf_id: isKernel ? kernel_id! : type_id,
      kernel: isKernel,
      ...(isKernel ? {} : { btf: view }),
    };
  });
}
