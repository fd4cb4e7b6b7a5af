/** Writes src/interpreter/loop.gen.ts and src/tier/modules.gen.ts. Build first: tsc -b packages/vm. */
import { writeFileSync } from 'node:fs';
import { generateLoop } from './dist/interpreter/generate.js';
import { generateModules } from './dist/tier/generate.js';

writeFileSync(new URL('./src/interpreter/loop.gen.ts', import.meta.url), generateLoop());
writeFileSync(new URL('./src/tier/modules.gen.ts', import.meta.url), generateModules());
