/** Error numbers that maps and helpers answer with, as positive constants: the hot paths write `-ENOENT`. */

import { ERRNO } from '@libbpf-ts/uapi';

export const EPERM: number = ERRNO.EPERM;
export const ENOENT: number = ERRNO.ENOENT;
export const E2BIG: number = ERRNO.E2BIG;
export const EAGAIN: number = ERRNO.EAGAIN;
export const ENOMEM: number = ERRNO.ENOMEM;
export const EFAULT: number = ERRNO.EFAULT;
export const EBUSY: number = ERRNO.EBUSY;
export const EEXIST: number = ERRNO.EEXIST;
export const EINVAL: number = ERRNO.EINVAL;
export const ENOSPC: number = ERRNO.ENOSPC;
export const ERANGE: number = ERRNO.ERANGE;
export const ENODATA: number = ERRNO.ENODATA;
export const EOPNOTSUPP: number = ERRNO.EOPNOTSUPP;
export const ENOTSUPP: number = ERRNO.ENOTSUPP;
