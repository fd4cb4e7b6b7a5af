/** Object names. */

import { KernelError } from '@libbpf-ts/uapi';

const decoder = new TextDecoder('latin1');

/** A name of letters, digits, `_` and `.`, ended by a NUL within its 16 bytes (`bpf_obj_name_cpy`). Throws EINVAL. */
export function objectName(bytes: Uint8Array, argument: string): string {
  const end = bytes.indexOf(0);
  if (end < 0) throw new KernelError('EINVAL', 'the name has no end within its 16 bytes', argument);
  const name = decoder.decode(bytes.subarray(0, end));
  if (!/^[A-Za-z0-9_.]*$/.test(name))
    throw new KernelError(
      'EINVAL',
      `the name ${JSON.stringify(name)} has other characters than letters, digits, _ and .`,
      argument,
    );
  return name;
}
