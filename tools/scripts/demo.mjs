/** `npm run demo`: a flow counter and a firewall on one hook, over recorded traffic. Further arguments go to `bpftool-ts run`. */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build, install, root } from './setup.mjs';

install();
build();
const demo = join(root, 'fixtures', 'demo');
const words = [
  'run',
  join(demo, 'flows.bpf.o'),
  join(demo, 'firewall.bpf.o'),
  '--hook',
  'tcx/ingress',
  '--pcap',
  join(demo, 'traffic.pcap'),
  '--set',
  'blocklist:10.9.0.102={"hits":0,"note":7}',
];
const given = process.argv.slice(2);
console.error(
  `$ bpftool-ts ${[...words, ...given]
    .map((word) => (/[{" ]/.test(word) ? `'${word}'` : word))
    .join(' ')
    .replaceAll(`${root}/`, '')}\n`,
);
const result = spawnSync(process.execPath, [join(root, 'apps', 'bpftool', 'dist', 'cli.js'), ...words, ...given], {
  cwd: process.env.INIT_CWD ?? process.cwd(),
  stdio: 'inherit',
});
process.exitCode = result.status ?? 1;
