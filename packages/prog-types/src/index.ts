/** Everything public of `@libbpf-ts/prog-types`, spelt out. */

export {
  cgroupDeviceOps,
  cgroupSkbOps,
  cgroupSockAddrOps,
  cgroupSockoptOps,
  cgroupSockOps,
  cgroupSysctlOps,
} from './cgroup.ts';
export { iterContext } from './iter.ts';
export { lsmOps, netfilterOps, structOpsOps, syscallOps } from './kernel-side.ts';
export type { StructOpsRules } from './kernel-side.ts';
export { lwtInOps, lwtOutOps, lwtSeg6localOps, lwtXmitOps } from './lwt.ts';
export { flowDissectorOps, skLookupOps, skMsgOps, skReuseportOps, skSkbOps, socketFilterOps, sockOpsOps } from './socket.ts';
export { progTypes } from './subsystem.ts';
export { PROG_TYPE_OPS } from './table.ts';
export { kprobeOps, perfEventOps, rawTracepointOps, rawTracepointWritableOps, tracepointOps, tracingOps } from './tracing.ts';
