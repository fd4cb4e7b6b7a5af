/** Everything public of `@libbpf-ts/maps`, spelt out. */

export { cgroupAt } from './cgroup-array.ts';
export type { CgroupFile } from './cgroup-array.ts';
export { setDeviceDirectory } from './devices.ts';
export type { DeviceDirectory } from './devices.ts';
export {
  clearDynptr,
  dynptrData,
  dynptrIsReadOnly,
  dynptrOffset,
  dynptrSize,
  dynptrType,
  initDynptr,
  moveDynptr,
} from './dynptr.ts';
export type { HelperRow } from './helpers/define.ts';
export { mapHelpers, mapKfuncs } from './helpers/index.ts';
export type { KfuncRow } from './helpers/kfunc-row.ts';
export { seedRandom } from './helpers/time.ts';
export { checkLocalStorageAttr } from './later.ts';
export { mapTypes } from './map-types.ts';
export { openPerfEvent, perfEvent, PerfEvent, perfEventOutput } from './perf-event-array.ts';
export type { PerfSample } from './perf-event-array.ts';
export { formatText } from './printf.ts';
export type { PrintfArgument } from './printf.ts';
export { progArrayAdmits } from './prog-array.ts';
export { forgetDevice, redirectTarget, redirectTargets } from './redirect-maps.ts';
export type { RedirectTarget } from './redirect-maps.ts';
export { RingbufReader } from './ringbuf-reader.ts';
export { maps } from './subsystem.ts';
export { advanceTime, runTimers } from './timers.ts';
export { onTrace, readTrace } from './trace-log.ts';
export { UserRingbufWriter } from './user-ringbuf.ts';
export { copyValue, freeFields, initValue, zeroFields } from './value.ts';
