/** The programs whose verification is timed: one by one, as the loader gives them to a kernel. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

import { createKernel, loadEach, parseObject } from 'libbpf-ts';
import type { ObjectSpec } from 'libbpf-ts';
import { verify } from '@libbpf-ts/verifier';
import type { VerifierRequest } from '@libbpf-ts/verifier';

/** What a kernel said of one program of the fixtures. */
export interface Row {
  readonly object: string;
  readonly section: string;
  readonly program: string;
  readonly verdict: string;
  readonly processed: number;
  readonly verify_ms: number;
}

const HOST_BTF = '/sys/kernel/btf/vmlinux';

/** The folder of the fixtures, or why there is none. */
export function fixtures(): { readonly folder: string } | { readonly reason: string } {
  const root = process.env['LIBBPF_TS_SHARED'];
  if (!root) return { reason: 'LIBBPF_TS_SHARED names no folder of fixtures' };
  const folder = join(root, 'fixtures');
  if (!existsSync(join(folder, 'verdicts.jsonl'))) return { reason: `no verdicts.jsonl in ${folder}` };
  return existsSync(HOST_BTF) ? { folder } : { reason: `the fixtures' relocations need ${HOST_BTF}` };
}

/** The accepted programs of the fixtures, the largest first. */
export function acceptedRows(folder: string): Row[] {
  return readFileSync(join(folder, 'verdicts.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Row)
    .filter(({ verdict, processed }) => verdict === 'accept' && processed > 0)
    .sort((a, b) => b.processed - a.processed);
}

export const readObject = (folder: string, object: string): ObjectSpec =>
  parseObject(new Uint8Array(readFileSync(join(folder, 'objects', object))));

let hostBtf: Uint8Array | undefined;

export interface Captured {
  readonly request: VerifierRequest;
  /** Milliseconds of the first verification, as it came in BPF_PROG_LOAD. */
  readonly first: number;
}

/** Loads the program into an in-process kernel; `use` is called with what its verifier was asked while maps are alive. */
export function withRequest<T>(spec: ObjectSpec, { program, section }: Row, use: (captured: Captured) => T): T {
  hostBtf ??= new Uint8Array(readFileSync(HOST_BTF));
  let captured: Captured | undefined;
  const kernel = createKernel({
    kernelBtf: hostBtf,
    verify(request) {
      const start = performance.now();
      const result = verify(request);
      captured ??= { request, first: performance.now() - start };
      return result;
    },
  });
  let outcome: { readonly value: T } | undefined;
  try {
    // The section tells apart programs of one name.
    const programs = spec.programs.filter((each) => each.name === program && each.section === section);
    loadEach(kernel.task('bench'), { ...spec, programs }, { pinDirectory: false }, ({ verdict, log_tail }) => {
      if (verdict !== 'accept' || !captured) throw new Error(`${program} is not accepted: ${log_tail}`);
      outcome = { value: use(captured) };
    });
  } finally {
    kernel[Symbol.dispose]();
  }
  return outcome!.value;
}
