/** Figures of a live kernel, for machines that have none to ask. */

/** Net nanoseconds a run of each program. */
export const KERNEL_RECORDED: { readonly of: string; readonly net: Readonly<Record<string, number>> } = {
  of: 'none yet',
  net: {},
};
