/** Figures of a live kernel, for machines that have none to ask. */

/** Net nanoseconds a run of each program, the best seen: by BPF_PROG_TEST_RUN with repeat, the empty program (11 ns) subtracted. */
export const KERNEL_RECORDED: { readonly of: string; readonly net: Readonly<Record<string, number>> } = {
  of: 'Linux 6.18 (x86-64, AMD EPYC Zen 4, kernel JIT with its mitigations)',
  net: {
    loop: 1683,
    sieve: 1044,
    muldiv: 1773,
    siphash: 1019,
    jhash: 900,
    csum: 519,
    memops: 962,
    parse32: 287,
    arrmap: 38.9,
    hashmap: 702,
    calls: 83,
  },
};

/** Nanoseconds an operation of a map, as `maps.ts` measures it. */
export const MAPS_RECORDED: { readonly of: string; readonly ns: Readonly<Record<string, number>> } = {
  of: KERNEL_RECORDED.of,
  ns: {},
};
