/** The whole corpus. */

import { bounds } from './bounds.ts';
import type { Case } from './case-list.ts';
import { control } from './control.ts';
import { helpers } from './helpers.ts';
import { kernelTypes } from './kernel-types.ts';
import { memory } from './memory.ts';
import { objects } from './objects.ts';
import { prototypes } from './prototypes.ts';
import { registers } from './registers.ts';
import { stack } from './stack.ts';
import { types } from './types.ts';

export const CORPUS: readonly Case[] = [
  ...registers,
  ...stack,
  ...bounds,
  ...memory,
  ...helpers,
  ...objects,
  ...control,
  ...types,
  ...kernelTypes,
  ...prototypes,
];
