/**
 * `pnpm oracle:record [NAME…]`: asks the running Linux again and writes its answers under `test/oracle/` with its version. Needs root,
 * bpf(2) and Python 3. On the live kernel only what the recorders made themselves is touched. Read the diff before you commit it.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { install, root } from './setup.mjs';

const verifier = (file) => join(root, 'packages/verifier/test/oracle', file);
const python = (script, ...args) => ['python3', [join(root, 'tools/oracle', script), ...args], {}];

/** Every recorder by name: command, arguments, environment, and the file for its standard output where it does not write one itself. */
const recorders = {
  variants: python('variants.py', verifier('variants.json')),
  context: python('record_context.py', verifier('context.json')),
  helpers: python('record_helpers.py', verifier('helpers.json')),
  kfuncs: python('record_kfuncs.py', verifier('kfuncs.json')),
  btf: python('prune_btf.py', verifier('vmlinux-part.btf')),
  'map-calls': python('record_map_calls.py', verifier('map-calls.json')),
  'raw-tp': python('record_raw_tp.py', verifier('raw-tp.json')),
  returns: python('record_returns.py', verifier('returns.json')),
  corpus: [
    process.execPath,
    [join(root, 'node_modules/vitest/vitest.mjs'), 'run', 'packages/verifier/test/corpus.record.test.ts'],
    { ORACLE_RECORD: '1' },
  ],
  maps: python('record_maps.py'),
  'map-ops': python('record_map_ops.py'),
  'helper-results': python('record_helper_results.py'),
  bpf: python('record_bpf.py'),
  capabilities: python('record_capabilities.py'),
  objects: python('record_objects.py'),
  records: python('record_records.py'),
  tc: [
    process.execPath,
    [
      join(root, 'apps/bpftool/dist/oracle-record.js'),
      ...['tc-actions', 'tc-filters', 'tc-qdiscs', 'tc-500', 'tc-501'].map((name) =>
        join(root, 'packages/cls-bpf/test/oracle', `${name}.jsonl`),
      ),
    ],
    {},
  ],
  'prog-run': [...python('record_prog_run.py'), join(root, 'apps/bpftool/test/oracle/prog-run.jsonl')],
  traffic: [...python('record_traffic.py'), join(root, 'packages/net/test/oracle/traffic.jsonl')],
  fib: [...python('record_fib.py'), join(root, 'packages/net/test/oracle/fib.jsonl')],
  sockets: [...python('record_sockets.py'), join(root, 'packages/net/test/oracle/sockets.jsonl')],
  'objects-btf': python('prune_btf.py', join(root, 'fixtures/objects/vmlinux-part.btf'), 'objects'),
  'managed-objects': [
    process.execPath,
    [join(root, 'node_modules/vitest/vitest.mjs'), 'run', 'packages/libbpf-ts/test/managed-objects.record.test.ts'],
    { ORACLE_RECORD: '1' },
  ],
  mirred: [
    process.execPath,
    [join(root, 'node_modules/vitest/vitest.mjs'), 'run', 'packages/cls-bpf/test/mirred.test.ts'],
    { ORACLE_RECORD: '1' },
  ],
  'skb-helpers': [...python('record_skb_helpers.py'), join(root, 'packages/net/test/oracle/skb-helpers.jsonl')],
};

function refuse(message) {
  console.error(`oracle:record: ${message}`);
  process.exit(2);
}

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(recorders);
const unknown = wanted.find((name) => !Object.hasOwn(recorders, name));
if (unknown !== undefined) refuse(`there is no recorder '${unknown}': ${Object.keys(recorders).join(', ')}`);
if (process.platform !== 'linux' || process.getuid?.() !== 0) refuse('answers are recorded on Linux as root');
install();
let failed = 0;
for (const name of wanted) {
  const [command, args, env, file] = recorders[name];
  if (args[0].endsWith('.py') && !existsSync(args[0])) refuse(`${args[0]} is missing`);
  const { status } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', file ? openSync(file, 'w') : 'inherit', 'inherit'],
    env: { ...process.env, ...env },
  });
  console.log(`${status === 0 ? 'recorded' : 'FAILED  '} ${name}`);
  failed += status === 0 ? 0 : 1;
}
process.exitCode = failed === 0 ? 0 : 1;
