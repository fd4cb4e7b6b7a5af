/** The live kernel, asked through tools/oracle/serve.py: answers come in the order of the questions. */

import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { MAPS } from './maps.ts';

export interface LiveAnswer {
  readonly ret: number;
  readonly last: string;
  readonly processed: number;
  readonly log?: string;
  readonly problem?: string;
}

/** A server process; `close` ends it, and with it everything that it made in the kernel. */
export class LiveKernel {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting: ((answer: LiveAnswer) => void)[] = [];
  readonly release: Promise<string>;
  #rest = '';

  /** `capabilities`: `BPF+NET_ADMIN` leaves only these; all where omitted. */
  constructor(capabilities?: string) {
    const script = fileURLToPath(new URL('../../../../tools/oracle/serve.py', import.meta.url));
    this.#child = spawn('python3', capabilities ? [script, capabilities] : [script]);
    this.#child.stdout.setEncoding('utf8');
    this.#child.stdout.on('data', (chunk: string) => this.#receive(chunk));
    this.#child.stderr.on('data', (chunk: Buffer) => process.stderr.write(chunk));
    this.release = this.ask({ maps: MAPS }).then((answer) => (answer as unknown as { kernel: string }).kernel);
  }

  ask(request: object): Promise<LiveAnswer> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#child.stdin.write(JSON.stringify(request) + '\n');
    });
  }

  close(): void {
    this.#child.stdin.end();
  }

  #receive(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#waiting.shift()?.(JSON.parse(line) as LiveAnswer);
  }
}
