/** The kernel's own BTF, fetched through the syscall border. */

import { parseBtf, type Btf } from '@libbpf-ts/btf';
import {
  bpf_btf_info,
  BPF_BTF_GET_FD_BY_ID,
  BPF_BTF_GET_NEXT_ID,
  BPF_OBJ_GET_INFO_BY_FD,
  BpfInfoAttr,
  BufferMemory,
  type Syscalls,
} from '@libbpf-ts/uapi';

/** The BTF named `vmlinux`, or `undefined` where the kernel has none or the caller may not see it. */
export function fetchKernelBtf(sys: Syscalls): Btf | undefined {
  for (let id = 0; ;) {
    const next = { start_id: id, next_id: 0 };
    if (sys.bpf(BPF_BTF_GET_NEXT_ID, next) < 0 || next.next_id <= id) return undefined;
    id = next.next_id;
    const found = fetchBtf(sys, id, (info) => info.kernel && info.name === 'vmlinux');
    if (found) return parseBtf(found);
  }
}

/** The bytes of a BTF object by id, if `wanted` says so of it. */
export function fetchBtf(
  sys: Syscalls,
  id: number,
  wanted: (info: { readonly kernel: boolean; readonly name: string }) => boolean = () => true,
): Uint8Array | undefined {
  const fd = sys.bpf(BPF_BTF_GET_FD_BY_ID, { btf_id: id });
  if (fd < 0) return undefined;
  try {
    const head = btfInfo(sys, fd, new Uint8Array(0));
    if (!head || !wanted(head)) return undefined;
    const bytes = new Uint8Array(head.size);
    return btfInfo(sys, fd, bytes) ? bytes : undefined;
  } finally {
    sys.close(fd);
  }
}

/** The info structure holds pointers of its own, so this call goes by the raw form. */
function btfInfo(
  sys: Syscalls,
  fd: number,
  btf: Uint8Array,
): { readonly size: number; readonly kernel: boolean; readonly name: string } | undefined {
  const memory = new BufferMemory();
  const info = new Uint8Array(bpf_btf_info.size);
  const name = new Uint8Array(64);
  const view = new DataView(info.buffer);
  bpf_btf_info.write(view, {
    btf: btf.length > 0 ? memory.map(btf) : 0n,
    btf_size: btf.length,
    name: memory.map(name),
    name_len: name.length,
  });
  const attr = new Uint8Array(BpfInfoAttr.end);
  BpfInfoAttr.write(new DataView(attr.buffer), { bpf_fd: fd, info_len: info.length, info: memory.map(info) as never });
  if (sys.bpfRaw(BPF_OBJ_GET_INFO_BY_FD, attr, attr.length, memory) < 0) return undefined;
  const answer = bpf_btf_info.read(view);
  const end = name.indexOf(0);
  return {
    size: answer.btf_size,
    kernel: answer.kernel_btf !== 0,
    name: new TextDecoder().decode(name.subarray(0, end < 0 ? name.length : end)),
  };
}
