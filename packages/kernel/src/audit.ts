/** Who attached, detached and replaced what, when and why. */

export type AuditAction = 'attach' | 'detach' | 'replace';

export interface AuditEntry {
  readonly seq: number;
  /** Virtual time in ns. */
  readonly time: bigint;
  readonly action: AuditAction;
  /** `tcx/ingress dev veth0`. */
  readonly hook: string;
  /** Program attached, detached, or put in place of `oldProg`. */
  readonly prog: number;
  readonly oldProg?: number;
  readonly link?: number;
  /** Name of the task that acted; undefined where the kernel did it by itself. */
  readonly task: string | undefined;
  /** `BPF_LINK_CREATE`, `close of fd 5`, `exit`, `device veth0 removed`. */
  readonly reason: string;
}

/** The last `capacity` entries. */
export class AuditLog {
  readonly #entries: AuditEntry[] = [];
  readonly #capacity: number;
  #seq = 0;

  constructor(capacity = 10_000) {
    this.#capacity = capacity;
  }

  get entries(): readonly AuditEntry[] {
    return this.#entries;
  }

  add(entry: Omit<AuditEntry, 'seq'>): void {
    if (this.#entries.length === this.#capacity) this.#entries.shift();
    this.#entries.push({ seq: ++this.#seq, ...entry });
  }

  clone(): AuditLog {
    const copy = new AuditLog(this.#capacity);
    copy.#entries.push(...this.#entries);
    copy.#seq = this.#seq;
    return copy;
  }
}
