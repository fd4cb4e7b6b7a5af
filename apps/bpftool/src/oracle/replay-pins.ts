/** Operations of a trace on owners: pins of bpffs, and tasks that die. */

import { BPF_OBJ_GET, BPF_OBJ_PIN, cString, errnoName } from '@libbpf-ts/uapi';

import type { Names } from './names.ts';
import type { Answer, TraceOp } from './trace.ts';
import type { World } from './world.ts';

export class PinOps {
  readonly #names: Names;
  readonly #world: World;
  /** Names of the objects behind the pins. */
  readonly #pinned: Map<string, string> = new Map();

  constructor(names: Names, world: World) {
    this.#names = names;
    this.#world = world;
  }

  readonly handlers: Readonly<Record<string, (op: TraceOp) => Answer>> = {
    pin: (op) => {
      const [ref, at] = [String(op['ref']), String(op['at'])];
      const bpf_fd = this.#names.value(ref);
      const result = this.#names.sys.bpf(BPF_OBJ_PIN, { pathname: cString(this.#path(at)), bpf_fd });
      if (result >= 0) this.#pinned.set(at, ref.slice(3));
      return answer(result);
    },
    unpin: (op) => {
      const at = String(op['at']);
      const result = this.#world.unlink(this.#path(at));
      if (result >= 0) this.#pinned.delete(at);
      return answer(result);
    },
    // An object that nobody has an fd of any more is reached again by its pin.
    pin_get: (op) => {
      const at = String(op['at']);
      const fd = this.#names.sys.bpf(BPF_OBJ_GET, { pathname: cString(this.#path(at)) });
      if (fd < 0) return answer(fd);
      const name = this.#pinned.get(at)!;
      const named = this.#names.get(name)!;
      if (named.fd === undefined) this.#names.add(name, named.kind, named.id, fd);
      else this.#names.sys.close(fd);
      return { res: 'OK', out: { object: name } };
    },
    task_exit: (op) => {
      this.#names.exit(String(op['task']));
      return { res: 'OK' };
    },
  };

  #path(at: string): string {
    return `${this.#world.bpffs}/${at}`;
  }
}

const answer = (result: number): Answer => ({ res: result >= 0 ? 'OK' : (errnoName(result) ?? String(-result)) });
