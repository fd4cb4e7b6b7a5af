/** A process of its own for one program, so that nothing is compiled yet: prints milliseconds of its first verification and load. */

import process from 'node:process';

import { acceptedRows, fixtures, readObject, withRequest } from './subjects.ts';

const [object, section, program] = process.argv.slice(2);
const place = fixtures();
if (!('folder' in place)) throw new Error(place.reason);
const row = acceptedRows(place.folder).find(
  (each) => each.object === object && each.section === section && each.program === program,
);
if (!row) throw new Error(`no accepted program ${program} in ${object}`);
const spec = readObject(place.folder, row.object);
const start = performance.now();
withRequest(spec, row, ({ first }) => {
  const load = performance.now() - start;
  process.stdout.write(`${JSON.stringify({ first, load, rss_mib: process.resourceUsage().maxRSS / 1024 })}\n`);
});
