/** The helpers of this package by BPF_FUNC_* number, and its kfuncs by name. */

import type { HelperRow } from './define.ts';
import { dynptrHelpers } from './dynptr.ts';
import { mapKfuncs } from './kfuncs.ts';
import { lockHelpers } from './lock.ts';
import { mapElementHelpers } from './map.ts';
import { perfHelpers } from './perf.ts';
import { printHelpers } from './print.ts';
import { probeHelpers } from './probe.ts';
import { ringbufHelpers } from './ringbuf.ts';
import { stringHelpers } from './string.ts';
import { taskHelpers } from './task.ts';
import { timeHelpers } from './time.ts';
import { timerHelpers } from './timer.ts';

export const mapHelpers: readonly HelperRow[] = [
  ...mapElementHelpers,
  ...timeHelpers,
  ...taskHelpers,
  ...probeHelpers,
  ...ringbufHelpers,
  ...dynptrHelpers,
  ...lockHelpers,
  ...perfHelpers,
  ...printHelpers,
  ...stringHelpers,
  ...timerHelpers,
];

export { mapKfuncs };
