/** Documents stay true: every package has a README that begins with its duty, licences and changelog rules are in place, links resolve. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../scripts/setup.mjs';

const problems = [];
const documents = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'docs/architecture.md'];

for (const kind of ['packages', 'apps']) {
  for (const name of readdirSync(join(root, kind))) {
    const manifestFile = join(root, kind, name, 'package.json');
    if (!existsSync(manifestFile)) continue;
    const readme = `${kind}/${name}/README.md`;
    documents.push(readme);
    if (!existsSync(join(root, readme))) continue;
    const { name: title, description } = JSON.parse(readFileSync(manifestFile, 'utf8'));
    const lines = readFileSync(join(root, readme), 'utf8')
      .split('\n')
      .filter((line) => line.trim() !== '');
    if (lines[0] !== `# ${title}`) problems.push(`${readme}: the title must be "# ${title}"`);
    if (lines[1] !== description)
      problems.push(`${readme}: the first line must be the package's description: "${description}"`);
  }
}

for (const document of documents) {
  const path = join(root, document);
  if (!existsSync(path)) {
    problems.push(`${document} is missing`);
    continue;
  }
  for (const [, target] of readFileSync(path, 'utf8').matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)[^)]*\)/g)) {
    if (!existsSync(join(dirname(path), target))) problems.push(`${document}: the link to ${target} leads nowhere`);
  }
}
for (const licence of ['LICENSE-APACHE', 'LICENSE-MIT'])
  if (!existsSync(join(root, licence))) problems.push(`${licence} is missing`);
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
