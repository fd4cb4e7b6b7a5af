/** The helpers of this package by BPF_FUNC_* number. */

import type { HelperFactory } from '@libbpf-ts/kernel';

export const mapHelpers: readonly (readonly [number, HelperFactory])[] = [];
