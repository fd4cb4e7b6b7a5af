/** Holds every package.json and every import against the house: imports go down only, and never within a row. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from '../scripts/setup.mjs';

/** The rows of the house, from the top. */
const rows = [
  ['bpftool-ts', '@libbpf-ts/bench'],
  ['libbpf-ts'],
  ['@libbpf-ts/vmlinux', '@libbpf-ts/linux'],
  ['@libbpf-ts/tcx', '@libbpf-ts/cls-bpf', '@libbpf-ts/xdp', '@libbpf-ts/prog-types'],
  ['@libbpf-ts/mprog', '@libbpf-ts/maps', '@libbpf-ts/net'],
  ['@libbpf-ts/kernel'],
  ['@libbpf-ts/verifier', '@libbpf-ts/vm'],
  ['@libbpf-ts/isa', '@libbpf-ts/btf', '@libbpf-ts/elf', '@libbpf-ts/pcap', '@libbpf-ts/uapi'],
];
/** Packages that keep to the syscall border: below it they may reach only what is named here. */
const narrow = new Map([
  ['libbpf-ts', new Set(['@libbpf-ts/uapi', '@libbpf-ts/isa', '@libbpf-ts/btf', '@libbpf-ts/elf', '@libbpf-ts/vmlinux'])],
  ['@libbpf-ts/linux', new Set(['@libbpf-ts/uapi', '@libbpf-ts/isa', '@libbpf-ts/btf'])],
]);
/** Packages whose sources may import Node's own modules: they run where Node runs only. */
const nodeAllowed = new Set(['bpftool-ts', '@libbpf-ts/bench', '@libbpf-ts/linux']);
/** The one file of a narrow package that may import the given package: the facade that composes everything. */
const onlyIn = new Map([['libbpf-ts > @libbpf-ts/vmlinux', /^(index|facade)\.ts$/]]);

const problems = [];
const rowOf = (name) => rows.findIndex((row) => row.includes(name));

function mayImport(from, to) {
  if (narrow.has(from)) return narrow.get(from).has(to);
  return rowOf(to) > rowOf(from);
}

function* sources(folder) {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* sources(path);
    else if (entry.name.endsWith('.ts')) yield path;
  }
}

function checkManifest(folder, manifest) {
  if (rowOf(manifest.name) < 0)
    problems.push(`${folder}/package.json: ${manifest.name} has no place in the house (tools/check/layers.mjs)`);
  for (const dependency of Object.keys(manifest.dependencies ?? {})) {
    if (rowOf(dependency) < 0) {
      if (folder.startsWith('packages/'))
        problems.push(`${folder}/package.json: ${dependency} is a run-time dependency from outside`);
    } else if (!mayImport(manifest.name, dependency))
      problems.push(`${folder}/package.json: ${manifest.name} may not depend on ${dependency}`);
  }
}

function checkFile(folder, manifest, path) {
  const code = readFileSync(path, 'utf8');
  const where = relative(root, path);
  for (const [, specifier] of code.matchAll(/(?:^|[\s}])(?:from|import)\s*\(?\s*'([^'\s]+)'/g)) {
    if (specifier.startsWith('.')) continue;
    if (specifier.startsWith('node:')) {
      if (!nodeAllowed.has(manifest.name))
        problems.push(`${where}: imports ${specifier}; library packages run in browsers too`);
      continue;
    }
    const name = specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : specifier.split('/')[0];
    if (rowOf(name) < 0) {
      const declared = { ...manifest.dependencies, ...manifest.peerDependencies };
      if (!(name in declared)) problems.push(`${where}: imports ${name}, which package.json does not name`);
      continue;
    }
    const only = onlyIn.get(`${manifest.name} > ${name}`);
    if (!mayImport(manifest.name, name)) problems.push(`${where}: ${manifest.name} may not import ${name}`);
    else if (!(name in (manifest.dependencies ?? {})))
      problems.push(`${where}: imports ${name}, which package.json does not name`);
    else if (only && !only.test(relative(join(root, folder, 'src'), path)))
      problems.push(`${where}: only the facade may import ${name}`);
  }
  if (/^export \* from/m.test(code)) problems.push(`${where}: export * hides what is public`);
  if (folder.startsWith('packages/') && /^(?:export )?let /m.test(code))
    problems.push(`${where}: module-level let: state hangs off a kernel`);
}

for (const kind of ['packages', 'apps']) {
  for (const name of readdirSync(join(root, kind))) {
    const folder = `${kind}/${name}`;
    const file = join(root, folder, 'package.json');
    if (!existsSync(file)) continue;
    const manifest = JSON.parse(readFileSync(file, 'utf8'));
    checkManifest(folder, manifest);
    for (const path of sources(join(root, folder, 'src'))) checkFile(folder, manifest, path);
  }
}
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
