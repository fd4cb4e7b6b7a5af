/** Attaches programs: to a hook that is given, or to what the section name says. */

import {
  BPF_F_REPLACE,
  BPF_LINK_CREATE,
  BPF_NETKIT_PEER,
  BPF_NETKIT_PRIMARY,
  BPF_PROG_ATTACH,
  BPF_PROG_DETACH,
  BPF_PROG_GET_FD_BY_ID,
  BPF_PROG_TYPE_EXT,
  BPF_PROG_TYPE_LSM,
  BPF_PROG_TYPE_RAW_TRACEPOINT,
  BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
  BPF_PROG_TYPE_TRACING,
  BPF_RAW_TRACEPOINT_OPEN,
  BPF_TCX_EGRESS,
  BPF_TCX_INGRESS,
  BPF_TRACE_ITER,
  cString,
  type BpfAttr,
} from '@libbpf-ts/uapi';
import { Link } from './bpf-link.ts';
import { call } from './call.ts';
import { LoaderError, type BpfErrorOptions } from './errors.ts';
import { anchorAttr, type Anchor, type Hook, type Ref } from './hook.ts';
import type { Handle } from './handle.ts';
import type { Program } from './program.ts';
import { whyNotAttached } from './why.ts';

export interface AttachOptions extends Anchor {
  /** Refuse with ESTALE unless the hook is at this revision. */
  readonly expectedRevision?: bigint | undefined;
  /** Flags of BPF_LINK_CREATE besides those of the anchor, for example XDP_FLAGS_SKB_MODE. */
  readonly flags?: number | undefined;
  /** Value that the program reads as its cookie, where the hook has cookies. */
  readonly cookie?: bigint | undefined;
}

export function attachProgram(program: Program, hook: Hook | undefined, options: AttachOptions): Link {
  return hook ? attachToHook(program, hook, options) : attachBySection(program, options);
}

function attachToHook(program: Program, hook: Hook, options: AttachOptions): Link {
  const { flags, relative } = anchorAttr(options);
  const order = { relative_fd: relative, expected_revision: options.expectedRevision ?? 0n };
  const attr: BpfAttr<28> = {
    prog_fd: program.fd,
    target_ifindex: hook.target,
    attach_type: hook.attachType,
    flags: flags | (options.flags ?? 0),
    ...orderField(hook, order),
  };
  const fd = call(
    program.sys,
    BPF_LINK_CREATE,
    attr,
    `cannot attach program ${program.name} to ${hook.name}`,
    misplaced(program, hook) ?? { why: (errno) => whyNotAttached(hook, options, errno) },
  );
  return new Link(program.sys, fd, hook);
}

/** The remedy where the hook is for programs of another type. */
function misplaced(program: Program, hook: Hook): BpfErrorOptions | undefined {
  const takes = hook.takes as ((type: string) => boolean) | undefined;
  if (takes === undefined || takes(program.type)) return undefined;
  return { hint: `programs of type ${program.type} do not attach to ${hook.name}` };
}

function orderField(hook: Hook, order: { relative_fd: number; expected_revision: bigint }): BpfAttr<28> {
  if (!hook.ordered) return {};
  switch (hook.attachType) {
    case BPF_TCX_INGRESS:
    case BPF_TCX_EGRESS:
      return { tcx: order };
    case BPF_NETKIT_PRIMARY:
    case BPF_NETKIT_PEER:
      return { netkit: order };
    default:
      return { cgroup: order };
  }
}

/** Program types whose section or BTF names the target. */
function attachBySection(program: Program, options: AttachOptions): Link {
  const { spec, sys } = program;
  const what = `cannot attach program ${program.name}${spec.target === undefined ? '' : ` to ${spec.target}`}`;
  const cookie = options.cookie ?? 0n;
  switch (spec.type) {
    case BPF_PROG_TYPE_RAW_TRACEPOINT:
    case BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE:
      return new Link(
        sys,
        call(sys, BPF_RAW_TRACEPOINT_OPEN, { name: cString(spec.target ?? ''), prog_fd: program.fd, cookie }, what),
      );
    case BPF_PROG_TYPE_TRACING:
      if (spec.expected_attach_type === BPF_TRACE_ITER)
        return new Link(sys, call(sys, BPF_LINK_CREATE, { prog_fd: program.fd, attach_type: BPF_TRACE_ITER }, what));
      return new Link(
        sys,
        call(
          sys,
          BPF_LINK_CREATE,
          { prog_fd: program.fd, attach_type: spec.expected_attach_type, tracing: { target_btf_id: 0, cookie } },
          what,
        ),
      );
    case BPF_PROG_TYPE_EXT:
    case BPF_PROG_TYPE_LSM:
      return new Link(
        sys,
        call(
          sys,
          BPF_LINK_CREATE,
          { prog_fd: program.fd, attach_type: spec.expected_attach_type, tracing: { target_btf_id: 0, cookie } },
          what,
        ),
      );
    default:
      throw new LoaderError(
        'LOADER_UNSUPPORTED',
        `section ${spec.section} does not say where to attach`,
        { program: program.name },
        { hint: 'give attach() a hook, for example tcx(kernel, "eth0", "ingress")' },
      );
  }
}

/** Attaches without a link (BPF_PROG_ATTACH): the program stays until it is detached. */
export function attachWithoutLink(program: Program, hook: Hook, options: AttachOptions = {}): void {
  const replaced = options.replace && programFd(program, options.replace);
  const anchor = anchorAttr({ at: options.at, before: options.before, after: options.after });
  const attr: BpfAttr<8> = {
    target_ifindex: hook.target,
    attach_bpf_fd: program.fd,
    attach_type: hook.attachType,
    attach_flags: anchor.flags | (replaced ? BPF_F_REPLACE : 0) | (options.flags ?? 0),
    expected_revision: options.expectedRevision ?? 0n,
    relative_fd: anchor.relative,
    ...(replaced ? { replace_bpf_fd: replaced.fd } : {}),
  };
  try {
    call(program.sys, BPF_PROG_ATTACH, attr, `cannot attach program ${program.name} to ${hook.name}`, {
      why: (errno) => whyNotAttached(hook, options, errno),
    });
  } finally {
    if (replaced?.borrowed === false) program.sys.close(replaced.fd);
  }
}

/** A replaced program is named by file descriptor only: one is opened for an id. */
function programFd(program: Program, ref: Ref): { readonly fd: number; readonly borrowed: boolean } {
  if ('progId' in ref)
    return {
      fd: call(program.sys, BPF_PROG_GET_FD_BY_ID, { prog_id: ref.progId }, `no program ${ref.progId}`),
      borrowed: false,
    };
  if ('fd' in ref) return { fd: ref.fd, borrowed: true };
  throw new LoaderError(
    'LOADER_BAD_OPTION',
    'a link cannot be replaced by a program without a link',
    { program: program.name },
    { hint: 'use link.update()' },
  );
}

/** Removes a program that was attached without a link. */
export function detachWithoutLink(program: Handle, hook: Hook, options: { readonly expectedRevision?: bigint } = {}): void {
  const attr = {
    target_ifindex: hook.target,
    attach_bpf_fd: program.fd,
    attach_type: hook.attachType,
    expected_revision: options.expectedRevision ?? 0n,
  };
  call(program.sys, BPF_PROG_DETACH, attr, `cannot detach from ${hook.name}`, {
    why: (errno) => whyNotAttached(hook, options, errno),
  });
}
