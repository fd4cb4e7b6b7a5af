/** mirred, scene by scene as the running kernel played them. ORACLE_RECORD=1 writes its answers anew. */

import { noLiveKernel } from '@libbpf-ts/testkit';
import { readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

import { inLinuxLab, play, scenes, simulatedLab, type Scene, type Seen } from './mirred-lab.ts';

const file = fileURLToPath(new URL('./oracle/mirred.json', import.meta.url));
const isRecording = process.env['ORACLE_RECORD'] === '1';

function record(): void {
  const rows = inLinuxLab((lab) => scenes.map((scene) => ({ scene, seen: play(lab, scene) })));
  const lines = rows.map((row) => JSON.stringify(row)).join(',\n');
  writeFileSync(file, `{"kernel":"${release()}","rows":[\n${lines}\n]}\n`);
}
if (isRecording) record();

const { rows } = JSON.parse(readFileSync(file, 'utf8')) as { readonly rows: readonly { scene: Scene; seen: Seen }[] };
const nameOf = ({ hook, actions, after }: Scene): string =>
  `${hook}: ${actions.map(({ mode, direction, dev, action = '' }) => `${mode} ${direction} ${dev} ${action}`).join(', ')} ${after ?? ''}`;

test('every scene is recorded', () => expect(rows.map(({ scene }) => scene)).toEqual(scenes));

describe('in this process', () => {
  test.each(rows.map(({ scene, seen }) => [nameOf(scene), scene, seen] as const))('%s', (_, scene, seen) => {
    const lab = simulatedLab();
    expect(play(lab, scene)).toEqual(seen);
    lab.close();
  });
});

test('on the running kernel', (context) => {
  const reason = noLiveKernel();
  if (reason) context.skip(reason);
  inLinuxLab((lab) => {
    for (const { scene, seen } of rows) expect(play(lab, scene), nameOf(scene)).toEqual(seen);
  });
});
