/** Prints the two stories with the state of the hook after each step. */

import process from 'node:process';

import { classicStory, linkStory, type Step } from './story.ts';

function tell(title: string, steps: readonly Step[]): void {
  process.stdout.write(`${title}\n`);
  steps.forEach(({ did, hook, packet }, index) => {
    process.stdout.write(`  ${index + 1}. ${did}\n     hook:   ${hook}\n     packet: ${packet}\n`);
  });
}

tell('Classic tc', classicStory());
tell('tcx links', linkStory());
