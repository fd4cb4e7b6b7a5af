/** Sockets of a task: file descriptors, so that a crash closes them. */

import type { Fork, Holder, OpenFile, Task } from '@libbpf-ts/kernel';
import { KernelError } from '@libbpf-ts/uapi';

import { Socket, type SocketOptions } from './socket.ts';
import { netnsOf } from './subsystem.ts';

/** An open socket; the last fd closes it. */
export class SocketFile implements OpenFile {
  readonly kind = 'socket';
  readonly canRead = true;
  readonly canWrite = true;
  readonly socket: Socket;
  /** The fds, as holders that the socket knows. */
  readonly #fds: Holder[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
  }

  opened(holder: Holder): void {
    this.#fds.push(holder);
    this.socket.hold(holder);
  }

  closed(holder: Holder): void {
    const at = this.#fds.findIndex(
      (own) => own.kind === 'fd' && holder.kind === 'fd' && own.task === holder.task && own.fd === holder.fd,
    );
    const [own] = this.#fds.splice(at, 1);
    if (this.#fds.length === 0) this.socket.close();
    this.socket.letGo(own!);
  }

  twin(fork: Fork): OpenFile {
    const copy = new SocketFile(this.socket.makeTwin(fork));
    for (const fd of this.#fds) copy.opened(fd);
    return copy;
  }
}

/** socket(2), bind(2), connect(2) or listen(2) in one, in the namespace of the task. Returns the fd; throws EMFILE, EINVAL. */
export function openSocket(task: Task, options: SocketOptions): number {
  const socket = new Socket(netnsOf(task), { uid: task.uid, ...options });
  try {
    return task.installFd(new SocketFile(socket));
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** The socket behind an fd. Throws EBADF, ENOTSOCK. */
export function socketOf(task: Task, fd: number, argument = 'fd'): Socket {
  const file = task.file(fd);
  if (file === undefined) throw new KernelError('EBADF', `fd ${fd} is not open`, argument);
  if (!(file instanceof SocketFile)) throw new KernelError('ENOTSOCK', `fd ${fd} is not a socket`, argument);
  return file.socket;
}
