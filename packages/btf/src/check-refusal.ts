/** What the checks of BTF hand each other: the header that they read first, and the refusal that ends them. */

/** Errors that the kernel answers BTF with. */
export type BtfErrno = 'EINVAL' | 'E2BIG' | 'ENOTSUPP' | 'ELOOP' | 'EEXIST';

/** Thrown inside the checks only; `checkBtf` turns it into a verdict. */
export class BtfRefusal extends Error {
  readonly errno: BtfErrno;

  constructor(errno: BtfErrno, detail: string) {
    super(detail);
    this.errno = errno;
  }
}

export interface CheckedHeader {
  readonly hdr_len: number;
  readonly type_off: number;
  readonly type_len: number;
  readonly str_off: number;
  readonly str_len: number;
}
