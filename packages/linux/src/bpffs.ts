/** A bpf file system that a process mounts for itself: pins outside of it are not touched. */

import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { callFailed } from './errors.ts';
import type { Ffi } from './ffi.ts';
import { Scratch } from './scratch.ts';

const MNT_DETACH = 2;

const cText = (text: string): Uint8Array => new TextEncoder().encode(`${text}\0`);

/** bpffs on a new directory; taken away (with its pins) when it is disposed of. */
export class BpfFs implements Disposable {
  readonly path: string;
  readonly #ffi: Ffi;
  readonly #scratch: Scratch;

  /** mount(2). Throws where that is refused. */
  constructor(ffi: Ffi) {
    this.#ffi = ffi;
    this.#scratch = new Scratch(ffi);
    this.path = mkdtempSync(join(tmpdir(), 'bpffs-'));
    const kind = this.#scratch.lend(cText('bpf'));
    const result = ffi.call('mount', kind, this.#scratch.lend(cText(this.path)), kind, 0, 0);
    this.#scratch.finish();
    if (result >= 0) return;
    this.#scratch.release();
    rmdirSync(this.path);
    throw callFailed('mount of bpffs', result, 'CAP_SYS_ADMIN');
  }

  [Symbol.dispose](): void {
    this.#ffi.call('umount2', this.#scratch.lend(cText(this.path)), MNT_DETACH);
    this.#scratch.finish();
    this.#scratch.release();
    rmdirSync(this.path);
  }
}
