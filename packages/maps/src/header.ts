/** Fields of a map's header that this package writes. */

import type { BpfMap } from '@libbpf-ts/kernel';
import { BPF_F_RDONLY, BPF_F_WRONLY } from '@libbpf-ts/uapi';

/** `bpf_map_flags_retain_permanent`: BPF_F_RDONLY and BPF_F_WRONLY belong to the fd, not to the map. */
export function keepPermanentFlags(map: BpfMap, add = 0): void {
  map.flags = (map.flags & ~(BPF_F_RDONLY | BPF_F_WRONLY)) | add;
  map.setHeader('map_flags', map.flags);
}
