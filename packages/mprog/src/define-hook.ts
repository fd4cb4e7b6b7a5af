/**
 * Hooks of one's own: ordered, owned by links, revisioned, with their own context, return codes and combination rule, on the same
 * machinery as tcx. Numbers (program, attach and link type) must lie outside of the ABI's range; whoever defines a hook exports them.
 */

import {
  BpfLink,
  stateKey,
  type AttachTypeOps,
  type BpfCall,
  type BpfProg,
  type HelperFactory,
  type Kernel,
  type LinkOps,
  type ProgTypeOps,
  type StateKey,
  type Subsystem,
} from '@libbpf-ts/kernel';
import { BPF_F_REPLACE, KernelError, type Struct, type StructOf } from '@libbpf-ts/uapi';

import { attachBounded, BOUND_FLAGS } from './bounds.ts';
import { HookContexts, hookVerifier, type ContextOptions } from './hook-context.ts';
import { HookPoint, type HookRun, type PlacePolicy } from './hook-point.ts';
import { arrayPool } from './hook.ts';
import { answerQuery } from './query.ts';
import { resolveRelative } from './relative.ts';
import { TraceRing } from './trace-ring.ts';
import { installWalk, Walker, type WalkSlots } from './walker.ts';

/** Numbers below belong to the ABI, now or later. */
export const FIRST_PRIVATE_NUMBER = 0x1_0000;
const TRACE_STEPS = 256;

export interface HookDefinition<S extends Struct, C extends string> extends ContextOptions<S> {
  /** Also the name of the program type, and of the ELF section unless `section` says another. */
  readonly name: string;
  /** Program, attach and link type; from 0x10000 on. */
  readonly number: number;
  /** Takes programs of a type that is there already (XDP programs on a hook for several of them) instead of a type of its own. */
  readonly programType?: number;
  readonly section?: string;
  /** What programs may return, by name. With `strict` (the default) the verifier refuses a program that could return anything else. */
  readonly codes: Readonly<Record<C, number>>;
  readonly strict?: boolean;
  /** The codes after which the next program runs; any other ends the chain and is the result. */
  readonly next: NoInfer<C> | readonly NoInfer<C>[];
  /** The result where no program decided; the first of `next` by default. */
  readonly fallback?: NoInfer<C>;
  /** Helpers beside those that every program type has, with their prototypes. */
  readonly helpers?: ReadonlyMap<number, HelperFactory>;
  /** Accepts BPF_F_FIRST and BPF_F_LAST. */
  readonly bounds?: boolean;
  /** May veto an attachment or choose its place. */
  readonly policy?: PlacePolicy;
}

interface HookStateValue<S extends Struct> {
  readonly walk: WalkSlots;
  readonly contexts: HookContexts<S>;
  readonly ring: TraceRing;
  readonly points: Map<number, HookPoint<S>>;
  last: number;
}

export interface CustomHook<S extends Struct, C extends string> {
  readonly definition: HookDefinition<S, C>;
  /** Goes into `createKernel({ subsystems: [...defaultSubsystems, hook.subsystem] })`. */
  readonly subsystem: Subsystem;
  /** For a loader: programs in this ELF section are of this type. */
  readonly section: { readonly name: string; readonly prog_type: number; readonly attach_type: number };
  /** Makes a place to attach to; its `target` is what BPF_PROG_ATTACH and BPF_LINK_CREATE name in target_ifindex. */
  open(kernel: Kernel, name?: string): HookPoint<S>;
  /** The place with this target. Throws ENODEV. */
  at(kernel: Kernel, target: number): HookPoint<S>;
  /** The place goes away: programs are let go, links stay without one. */
  close(kernel: Kernel, target: number): void;
  /** Runs the programs of a place and names the result. */
  run(
    point: HookPoint<S>,
    context: Partial<StructOf<S>>,
    payload?: Uint8Array,
  ): HookRun<S> & { readonly verdict: C | undefined };
}

interface LinkData {
  target: number | undefined;
}

/** Makes a hook. Throws RangeError where the number is the ABI's. */
export function defineHook<S extends Struct, const C extends string>(definition: HookDefinition<S, C>): CustomHook<S, C> {
  const { name, number, codes } = definition;
  if (number < FIRST_PRIVATE_NUMBER)
    throw new RangeError(`hook ${name}: numbers below 0x10000 are the ABI's, ${number} is one`);
  const key: StateKey<HookStateValue<S>> = stateKey<HookStateValue<S>>(`hook.${name}`);
  const next = [definition.next].flat().map((code) => codes[code as C]);
  const fallback = definition.fallback === undefined ? next[0]! : codes[definition.fallback];
  const stateOf = (kernel: Kernel): HookStateValue<S> => kernel.stateOf(key);
  const at = (kernel: Kernel, target: number): HookPoint<S> => {
    const point = stateOf(kernel).points.get(target);
    if (!point) throw new KernelError('ENODEV', `hook ${name} has no place ${target}`, 'target_ifindex');
    return point;
  };
  const make = (
    kernel: Kernel,
    state: HookStateValue<S>,
    target: number,
    label: string,
    from?: HookPoint<S>['hook'],
  ): HookPoint<S> => {
    const walker = new Walker(kernel.runtime, arrayPool(kernel), state.walk);
    const point = new HookPoint<S>({
      kernel,
      name,
      target,
      label,
      walker,
      contexts: state.contexts,
      ring: state.ring,
      fallback,
      next,
      from,
    });
    if (definition.bounds) point.hook.place = attachBounded;
    point.policy = definition.policy;
    state.points.set(target, point);
    return point;
  };
  const linkOps = hookLinkOps(name, number, at);
  const byCode = new Map(Object.entries(codes).map(([code, value]) => [value as number, code as C]));

  return {
    definition,
    section: { name: definition.section ?? name, prog_type: definition.programType ?? number, attach_type: number },
    subsystem: (kernel) => {
      kernel.state(key, {
        create: () => ({
          walk: installWalk(kernel.runtime, { continueOn: next }),
          contexts: new HookContexts(kernel.arena, definition),
          ring: new TraceRing(kernel.arena, TRACE_STEPS),
          points: new Map(),
          last: 0,
        }),
        clone: (state, fork) => {
          const copy: HookStateValue<S> = {
            ...state,
            contexts: state.contexts.twin(fork.kernel.arena),
            ring: new TraceRing(fork.kernel.arena, 0, state.ring.address),
            points: new Map(),
          };
          for (const [target, point] of state.points) make(fork.kernel, copy, target, point.label, point.hook.twin(fork));
          return copy;
        },
      });
      if (definition.programType === undefined) kernel.progTypes.register(number, progType(definition));
      kernel.attachTypes.register(number, attachOps(definition, at, linkOps));
      kernel.linkTypes.register(name, linkOps);
    },
    open: (kernel, label) => {
      const state = stateOf(kernel);
      return make(kernel, state, ++state.last, label ?? `${name}${state.last}`);
    },
    at,
    close: (kernel, target) => {
      const point = at(kernel, target);
      stateOf(kernel).points.delete(target);
      point.destroy((link: BpfLink<LinkData>) => {
        link.data.target = undefined;
      });
    },
    run: (point, context, payload) => {
      const result = point.run(context, payload);
      return { ...result, verdict: byCode.get(result.code) };
    },
  };
}

function progType<S extends Struct, C extends string>(definition: HookDefinition<S, C>): ProgTypeOps {
  const values = Object.values(definition.codes) as number[];
  return {
    type: definition.number,
    name: definition.name,
    verifier: hookVerifier(definition, definition.strict === false ? undefined : values, definition.name),
    helper: (id) => definition.helpers?.get(id),
    testRun: (call, prog) => testRun(call, prog, definition),
  };
}

/** BPF_PROG_TEST_RUN: ctx_in is the context, data_in the payload. */
function testRun<S extends Struct, C extends string>(call: BpfCall<10>, prog: BpfProg, definition: HookDefinition<S, C>): void {
  const { attr, kernel } = call;
  const { size } = definition.context;
  if (attr.flags || attr.cpu || attr.batch_size)
    throw new KernelError('EINVAL', 'this program type takes no test flags', 'flags');
  if (attr.ctx_size_in !== 0 && attr.ctx_size_in !== size)
    throw new KernelError('EINVAL', `the context has ${size} bytes`, 'ctx_size_in');
  const contexts = new HookContexts<S>(kernel.arena, definition);
  const payload = attr.data_size_in > 0 ? call.read(attr.data_in, attr.data_size_in, 'data_in') : undefined;
  const context = attr.ctx_size_in > 0 ? call.read(attr.ctx_in, size, 'ctx_in') : new Uint8Array(size);
  const used = contexts.open(context, payload);
  try {
    const start = performance.now();
    let retval = 0;
    for (let run = 0; run < (attr.repeat || 1); run++) retval = prog.run(used.address);
    const back = contexts.bytes(used);
    call.put('retval', retval >>> 0);
    call.put('duration', Math.round(((performance.now() - start) * 1e6) / (attr.repeat || 1)));
    if (attr.ctx_out !== 0n) {
      call.write(attr.ctx_out, back.subarray(0, attr.ctx_size_out || size), 'ctx_out');
      call.put('ctx_size_out', size);
    }
  } finally {
    contexts.give(used);
    contexts.drain();
  }
}

function attachOps<S extends Struct, C extends string>(
  definition: HookDefinition<S, C>,
  at: (kernel: Kernel, target: number) => HookPoint<S>,
  linkOps: LinkOps<LinkData>,
): AttachTypeOps {
  const { number, bounds } = definition;
  return {
    progType: definition.programType ?? number,
    mprog: true,
    ...(bounds ? { extraFlags: BOUND_FLAGS } : {}),
    attach(call, prog) {
      const { attr, task } = call;
      const point = at(call.kernel, attr.target_ifindex);
      const replaces =
        attr.attach_flags & BPF_F_REPLACE ? task.prog(attr.replace_bpf_fd, 'replace_bpf_fd', prog.type) : undefined;
      const anchor = (): ReturnType<typeof resolveRelative> =>
        resolveRelative(task, attr.attach_flags, attr.relative_fd, prog.type);
      const request = { flags: attr.attach_flags, anchor, expectedRevision: attr.expected_revision };
      point.hook.attachProg(prog, { ...request, replaces }, point.check({ task, prog, link: null, flags: attr.attach_flags }));
    },
    detach(call, prog) {
      const { attr, task } = call;
      const anchor = (): ReturnType<typeof resolveRelative> =>
        resolveRelative(task, attr.attach_flags, attr.relative_fd, prog?.type);
      at(call.kernel, attr.target_ifindex).hook.detachProg(prog, {
        flags: attr.attach_flags,
        anchor,
        expectedRevision: attr.expected_revision,
      });
    },
    query: (call) => answerQuery(call, at(call.kernel, call.attr.target_ifindex).hook.list),
    linkCreate(call, prog) {
      const { attr, kernel, task } = call;
      const point = at(kernel, attr.target_ifindex);
      const link: BpfLink<LinkData> = BpfLink.create(kernel, {
        ops: linkOps,
        prog,
        data: { target: point.target },
        attachType: number,
      });
      const anchor = (): ReturnType<typeof resolveRelative> =>
        resolveRelative(task, attr.flags, attr.tcx.relative_fd ?? 0, prog.type);
      try {
        const request = { flags: attr.flags, anchor, expectedRevision: attr.tcx.expected_revision };
        point.hook.attachLink(link, request, point.check({ task, prog, link, flags: attr.flags }));
      } catch (error) {
        link.cancel();
        throw error;
      }
      return link;
    },
  };
}

function hookLinkOps(
  name: string,
  number: number,
  at: (kernel: Kernel, target: number) => HookPoint<Struct>,
): LinkOps<LinkData> {
  const leave = (link: BpfLink<LinkData>): void => {
    const { target } = link.data;
    if (target === undefined) return;
    link.data.target = undefined;
    at(link.kernel, target).hook.detachLink(link);
  };
  return {
    type: number,
    name,
    release: leave,
    detach: leave,
    updateProg(link, prog, oldProg) {
      const current = link.prog!;
      if (link.data.target === undefined)
        throw new KernelError('ENOLINK', `link ${link.id} is not attached any more`, 'link_fd');
      if (oldProg && oldProg !== current)
        throw new KernelError('EPERM', `the link runs program ${current.id}, not ${oldProg.id}`, 'old_prog_fd');
      if (prog === current) return;
      const anchor = (): { prog: BpfProg; link: null } => {
        if (prog.type !== current.type) throw new KernelError('EINVAL', `program ${prog.id} is of another type`, 'new_prog_fd');
        return { prog: current, link: null };
      };
      at(link.kernel, link.data.target).hook.updateLink(link, prog, anchor);
    },
    fdInfo: (link) => `target:\t${link.data.target ?? 0}\n`,
    clone: ({ target }) => ({ target }),
  };
}
