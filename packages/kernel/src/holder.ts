/** Who keeps an object alive: every reference has a name. */

export type Holder =
  /** A file descriptor of a task. */
  | { readonly kind: 'fd'; readonly task: number; readonly fd: number }
  /** Memory that a task has mapped (mmap). */
  | { readonly kind: 'mapping'; readonly task: number; readonly at: number }
  /** A pin in bpffs. */
  | { readonly kind: 'pin'; readonly path: string }
  /** A link holds its program (or its struct_ops map). */
  | { readonly kind: 'link'; readonly id: number }
  /** A hook holds a program that was attached without a link: `tcx/ingress dev veth0`. */
  | { readonly kind: 'hook'; readonly name: string }
  /** A map holds what its elements name: programs, inner maps. `key` in words; empty for its template. */
  | { readonly kind: 'map'; readonly id: number; readonly key: string }
  /** A program holds the maps that it uses, and its BTF. */
  | { readonly kind: 'prog'; readonly id: number }
  /** Something on its way that ends by itself: a packet, a program run. */
  | { readonly kind: 'flight'; readonly name: string }
  /** A kernel module or the kernel itself: never released. */
  | { readonly kind: 'kernel'; readonly name: string };

/** Equal holders have equal keys. */
export function holderKey(holder: Holder): string {
  switch (holder.kind) {
    case 'fd':
      return `fd ${holder.task} ${holder.fd}`;
    case 'mapping':
      return `mapping ${holder.task} ${holder.at}`;
    case 'pin':
      return `pin ${holder.path}`;
    case 'link':
      return `link ${holder.id}`;
    case 'hook':
      return `hook ${holder.name}`;
    case 'map':
      return `map ${holder.id} ${holder.key}`;
    case 'prog':
      return `prog ${holder.id}`;
    case 'flight':
      return `flight ${holder.name}`;
    case 'kernel':
      return `kernel ${holder.name}`;
  }
}

/** For people. `taskName` turns a task's id into its name. */
export function holderText(holder: Holder, taskName: (id: number) => string = (id) => `${id}`): string {
  switch (holder.kind) {
    case 'fd':
      return `fd ${holder.fd} of task ${taskName(holder.task)}`;
    case 'pin':
      return `pin ${holder.path}`;
    case 'mapping':
      return `memory mapped by task ${taskName(holder.task)}`;
    case 'link':
      return `link ${holder.id}`;
    case 'hook':
      return `hook ${holder.name}`;
    case 'map':
      return holder.key === '' ? `map ${holder.id}` : `${holder.key} of map ${holder.id}`;
    case 'prog':
      return `prog ${holder.id}`;
    case 'flight':
      return holder.name;
    case 'kernel':
      return `kernel (${holder.name})`;
  }
}

/** fds, mapped memory and pins are what user space holds (`bpf_map_inc_with_uref`); the rest is the kernel's own. */
export function isUserHolder(holder: Holder): boolean {
  return holder.kind === 'fd' || holder.kind === 'pin' || holder.kind === 'mapping';
}
