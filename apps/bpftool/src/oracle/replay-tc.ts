/** Operations of a trace on classic tc: qdiscs and filters, and their dumps with names instead of ids. */

import {
  addFilter,
  addQdisc,
  deleteFilter,
  dumpFilters,
  dumpQdiscs,
  encodeQdisc,
  errnoName,
  getFilter,
  removeQdisc,
  TC_H_MIN_EGRESS,
  TC_H_MIN_INGRESS,
  type ActionRequest,
  type ClassicInsn,
  type FilterPlace,
  type FilterRequest,
  type FilterRow,
  type FilterSelection,
  type QdiscRequest,
  type QdiscSelection,
  type TcAnswer,
} from '@libbpf-ts/uapi';

import type { Names } from './names.ts';
import type { Answer, TraceOp } from './trace.ts';

const PARENTS: Readonly<Record<string, number>> = { ingress: TC_H_MIN_INGRESS, egress: TC_H_MIN_EGRESS };
/** Blocks that a state shows. */
const BLOCKS = [1, 2];

/** A filter by what `tcpdump -ddd` prints of nothing and of everything. */
const CLASSIC: Readonly<Record<string, readonly ClassicInsn[]>> = {
  none: [{ code: 6, jt: 0, jf: 0, k: 0 }],
  all: [{ code: 6, jt: 0, jf: 0, k: 262_144 }],
  long: [
    { code: 40, jt: 0, jf: 0, k: 12 },
    { code: 21, jt: 0, jf: 1, k: 2048 },
    { code: 6, jt: 0, jf: 0, k: 262_144 },
    { code: 6, jt: 0, jf: 0, k: 0 },
  ],
  bad: [{ code: 255, jt: 0, jf: 0, k: 0 }],
  empty: [],
};

export class TcOps {
  readonly #names: Names;

  constructor(names: Names) {
    this.#names = names;
  }

  readonly handlers: Readonly<Record<string, (op: TraceOp) => Answer>> = {
    qdisc_add: (op) => says(addQdisc(this.#names.sys, this.#qdisc(op) as QdiscRequest)),
    // With flags that no mode stands for.
    qdisc_raw: (op) =>
      says(this.#names.sys.rtnetlink({ ...encodeQdisc(this.#qdisc(op) as QdiscRequest), flags: op['nlm'] as number })),
    qdisc_del: (op) => says(removeQdisc(this.#names.sys, this.#qdisc(op))),
    filter: (op) => says(addFilter(this.#names.sys, this.#request(op))),
    filter_del: (op) => says(deleteFilter(this.#names.sys, this.#selection(op))),
    filter_get: (op) => {
      const got = getFilter(this.#names.sys, this.#selection(op));
      return { ...says(got), ...(got.row ? { out: this.#row(got.row) } : {}) };
    },
    filter_dump: (op) => ({ res: 'OK', out: this.#rows(this.#selection(op)) }),
  };

  /** The qdiscs there are, and the filters of a device's hooks and of the shared blocks. */
  state(device: string): unknown {
    const ifindex = this.#names.ifindex(device);
    const qdiscs = dumpQdiscs(this.#names.sys).map(({ ifindex: index, ...row }) => ({
      dev: this.#names.deviceName(index),
      ...row,
    }));
    const filters: Record<string, unknown> = {};
    for (const [hook, parent] of Object.entries(PARENTS)) filters[hook] = this.#rows({ ifindex, parent });
    for (const block of BLOCKS) filters[`block ${block}`] = this.#rows({ block });
    return { qdiscs, ...filters };
  }

  #qdisc(op: TraceOp): QdiscSelection & Partial<QdiscRequest> {
    const { dev, kind, mode, handle, parent, ingressBlock, egressBlock } = op as unknown as Record<string, never>;
    return { ...given({ kind, mode, handle, parent, ingressBlock, egressBlock }), ifindex: this.#names.ifindex(dev) };
  }

  #place({ at, dev, chain }: TraceOp): FilterPlace {
    const where =
      typeof at === 'number' ? { block: at } : { ifindex: this.#names.ifindex(dev), parent: PARENTS[String(at)] ?? Number(at) };
    return { ...where, ...given({ chain: chain as number }) };
  }

  #selection(op: TraceOp): FilterSelection {
    const { prio, protocol, handle, kind } = op as unknown as Record<string, never>;
    return { ...this.#place(op), ...given({ prio, protocol, handle, kind }) };
  }

  #request(op: TraceOp): FilterRequest {
    const {
      prio,
      protocol = 3,
      handle,
      create,
      excl,
      kind,
      classid,
      name,
      flags,
      flagsGen,
    } = op as unknown as Record<string, never>;
    const { prog, ops, actions } = op;
    return {
      ...this.#place(op),
      ...given({ prio, handle, create, excl, kind, classid, name, flags, flagsGen }),
      protocol,
      ...(prog === undefined ? {} : { fd: this.#names.value(prog) }),
      ...(ops === undefined ? {} : { ops: CLASSIC[String(ops)]! }),
      ...(actions === undefined ? {} : { actions: (actions as Record<string, unknown>[]).map((each) => this.#action(each)) }),
    };
  }

  #action({ dev, ...rest }: Record<string, unknown>): ActionRequest {
    return { kind: 'mirred', ...rest, ifindex: this.#names.ifindex(dev) } as ActionRequest;
  }

  /** Chains by number: in which order they are shown depends on when the kernel gets to free the filters that named them. */
  #rows(selection: FilterSelection): unknown[] {
    const rows = dumpFilters(this.#names.sys, selection);
    return rows.sort((a, b) => a.chain - b.chain).map((row) => this.#row(row));
  }

  /** Without what packets and the order of freeing decide: counts, and the numbers of actions. */
  #row({ id, actions, ...row }: FilterRow): unknown {
    return {
      ...row,
      ...(id === undefined ? {} : { prog: this.#names.progName(id) ?? null }),
      ...(actions
        ? {
            actions: actions.map(({ index: _, stats: __, ifindex, ...one }) => ({
              ...one,
              dev: this.#names.deviceName(ifindex ?? 0),
            })),
          }
        : {}),
    };
  }
}

/** Without the fields that are not given. */
function given<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

function says({ result, extack }: TcAnswer): Answer {
  const code = result >= 0 ? 'OK' : (errnoName(result) ?? String(-result));
  return { res: code, ...(extack === undefined ? {} : { out: { extack } }) };
}
