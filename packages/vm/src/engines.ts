/** The engines that a runtime has unless it is told otherwise; the first is the default. */

import type { Engine } from './engine.ts';
import { interpreterEngine } from './interpreter/engine.ts';
import { jitEngine } from './jit/engine.ts';
import { firstTierEngine } from './tier/engine.ts';
import { tieredEngine } from './tier/tiered.ts';

export const defaultEngines: readonly Engine[] = [tieredEngine(), jitEngine, firstTierEngine, interpreterEngine];
