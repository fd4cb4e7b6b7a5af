/** Writes src/interpreter/loop.gen.ts. Build first: tsc -b packages/vm. */
import { writeFileSync } from 'node:fs';
import { generateLoop } from './dist/interpreter/generate.js';

writeFileSync(new URL('./src/interpreter/loop.gen.ts', import.meta.url), generateLoop());
