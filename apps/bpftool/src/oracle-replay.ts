/** `npm run -s oracle:replay -- TRACE.jsonl…`: replays recorded traces and counts what differs. */

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import process from 'node:process';

import { replay, type Difference } from './oracle/replay.ts';
import { parseTrace } from './oracle/trace.ts';
import { simulatedWorld } from './oracle/world.ts';

const SHOWN = 3;

function describe({ op, line, field, expected, actual }: Difference): string {
  const { state: _state, out: _out, res: _res, ...request } = line;
  return `  op ${op} ${JSON.stringify(request)}\n    ${field} recorded: ${JSON.stringify(expected)}\n    ${field} here:     ${JSON.stringify(actual)}`;
}

/** Replays one file; true where nothing differs. */
function replayFile(file: string): boolean {
  const trace = parseTrace(readFileSync(resolve(process.env['INIT_CWD'] ?? process.cwd(), file), 'utf8'));
  const world = simulatedWorld();
  const differences = replay(trace, world);
  world.close();
  process.stdout.write(`${file}: ${trace.ops.length} ops, ${differences.length} differences\n`);
  for (const difference of differences.slice(0, SHOWN)) process.stderr.write(`${describe(difference)}\n`);
  return differences.length === 0;
}

function main(files: readonly string[]): number {
  if (files.length === 0) {
    process.stderr.write('usage: oracle:replay -- TRACE.jsonl…\n');
    return 2;
  }
  let same = true;
  for (const file of files) {
    try {
      same = replayFile(file) && same;
    } catch (error) {
      process.stderr.write(`${file}: ${error instanceof Error ? error.message : String(error)}\n`);
      same = false;
    }
  }
  return same ? 0 : 1;
}

process.exitCode = main(process.argv.slice(2));
