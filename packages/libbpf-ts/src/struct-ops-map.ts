/** Tables of functions in a kernel: the map behind a `.struct_ops` variable, and how it is put into service. */

import { essentialName, sizeOf, skipModifiers, type Btf, type BtfStruct } from '@libbpf-ts/btf';
import {
  BPF_ANY,
  BPF_F_LINK,
  BPF_LINK_CREATE,
  BPF_MAP_CREATE,
  BPF_MAP_DELETE_ELEM,
  BPF_MAP_TYPE_STRUCT_OPS,
  BPF_MAP_UPDATE_ELEM,
  BPF_STRUCT_OPS,
  type Syscalls,
} from '@libbpf-ts/uapi';
import { Link } from './bpf-link.ts';
import { call } from './call.ts';
import { kernelName } from './create-map.ts';
import { LoaderError } from './errors.ts';
import { Handle } from './handle.ts';
import type { StructOpsSpec } from './spec.ts';

/** A struct_ops map. It does nothing until it is registered or attached. */
export class StructOps extends Handle {
  readonly spec: StructOpsSpec;
  /** The value as the kernel lays it out, functions as program file descriptors. */
  readonly value: Uint8Array;

  constructor(sys: Syscalls, fd: number, spec: StructOpsSpec, value: Uint8Array) {
    super(sys, fd);
    this.spec = spec;
    this.value = value;
  }

  get name(): string {
    return this.spec.name;
  }

  /** Gives the table to the kernel. One of `.struct_ops` is in service from now on; one of `.struct_ops.link` is ready for {@link attach}. */
  register(): this {
    call(
      this.sys,
      BPF_MAP_UPDATE_ELEM,
      { map_fd: this.fd, key: new Uint8Array(4), value: this.value, flags: BigInt(BPF_ANY) },
      `cannot register ${this.name}`,
    );
    return this;
  }

  /** Takes a registered table out of service. */
  unregister(): void {
    call(this.sys, BPF_MAP_DELETE_ELEM, { map_fd: this.fd, key: new Uint8Array(4) }, `cannot unregister ${this.name}`);
  }

  /** Puts a table of `.struct_ops.link` into service for as long as the link lives. */
  attach(): Link {
    if (!this.spec.link)
      throw new LoaderError(
        'LOADER_UNSUPPORTED',
        `${this.name} is in .struct_ops, not in .struct_ops.link`,
        { map: this.name },
        { hint: 'use register()' },
      );
    this.register();
    return new Link(
      this.sys,
      call(this.sys, BPF_LINK_CREATE, { map_fd: this.fd, attach_type: BPF_STRUCT_OPS }, `cannot attach ${this.name}`),
    );
  }
}

export interface StructOpsOptions {
  /** File descriptor of the object's BTF. */
  readonly btfFd: number;
  /** File descriptor of the program of a function. */
  programFd(program: string): number;
}

/** Creates the map of a table. Mirrors libbpf's `bpf_map__init_kern_struct_ops`. */
export function createStructOps(
  sys: Syscalls,
  spec: StructOpsSpec,
  local: Btf,
  kernel: Btf,
  options: StructOpsOptions,
): StructOps {
  const layout = kernelLayout(spec, kernel);
  const value = new Uint8Array(layout.size);
  const view = new DataView(value.buffer);
  const type = local.find(spec.type, 'STRUCT');
  if (type?.kind !== 'STRUCT') throw missing(spec, `the object's BTF has no struct ${spec.type}`);
  for (const [index, member] of type.members.entries()) {
    const target = layout.type.members.find(({ name }) => name === member.name);
    const slot = spec.programs.find((item) => item.index === index);
    const size = sizeOf(local, member.type);
    const bytes = spec.data.subarray(member.bit_offset / 8, member.bit_offset / 8 + size);
    if (!target) {
      if (slot || bytes.some((byte) => byte !== 0))
        throw missing(spec, `struct ${spec.type} of the kernel has no member ${member.name}`);
      continue;
    }
    const at = layout.offset + target.bit_offset / 8;
    if (skipModifiers(local, member.type).kind === 'PTR') {
      if (slot) view.setBigUint64(at, BigInt(options.programFd(slot.program)), true);
    } else if (sizeOf(kernel, target.type) === size) value.set(bytes, at);
    else throw missing(spec, `member ${member.name} has ${size} bytes here and ${sizeOf(kernel, target.type)} in the kernel`);
  }
  const attr = {
    map_type: BPF_MAP_TYPE_STRUCT_OPS,
    key_size: 4,
    value_size: layout.size,
    max_entries: 1,
    map_flags: spec.link ? BPF_F_LINK : 0,
    map_name: kernelName(spec.name),
    // The kernel wants some BTF of the caller's besides its own type, whatever is in it.
    btf_fd: options.btfFd,
    btf_vmlinux_value_type_id: layout.id,
  };
  return new StructOps(sys, call(sys, BPF_MAP_CREATE, attr, `cannot create struct_ops map ${spec.name}`), spec, value);
}

const missing = (spec: StructOpsSpec, why: string): LoaderError =>
  new LoaderError('LOADER_UNRESOLVED', why, { map: spec.name }, { errno: 'ESRCH' });

/** The kernel's value type: `struct bpf_struct_ops_NAME`, which holds the structure after a common head. */
function kernelLayout(
  spec: StructOpsSpec,
  kernel: Btf,
): { readonly id: number; readonly size: number; readonly offset: number; readonly type: BtfStruct } {
  const name = essentialName(spec.type);
  const wrapper = kernel.find(`bpf_struct_ops_${name}`, 'STRUCT');
  const type = kernel.find(name, 'STRUCT');
  if (wrapper?.kind !== 'STRUCT' || type?.kind !== 'STRUCT') throw missing(spec, `the kernel has no struct_ops type ${name}`);
  const holder = wrapper.members.find((member) => skipModifiers(kernel, member.type).id === type.id);
  if (!holder) throw missing(spec, `struct bpf_struct_ops_${name} of the kernel does not hold struct ${name}`);
  return { id: wrapper.id, size: wrapper.size, offset: holder.bit_offset / 8, type };
}
