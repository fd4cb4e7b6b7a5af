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

/** Nanoseconds an operation of a map, as `maps.ts` measures it; the best seen on a machine with other work. */
export const MAPS_RECORDED: { readonly of: string; readonly ns: Readonly<Record<string, number>> } = {
  of: KERNEL_RECORDED.of,
  ns: {
    'array lookup': 0.7,
    'array update': 8.2,
    'percpu_array lookup': 1,
    'percpu_array update': 9.3,
    'hash lookup': 10.1,
    'hash update': 43.6,
    'hash insert + delete': 106,
    'percpu_hash lookup': 9.8,
    'percpu_hash update': 29.9,
    'percpu_hash insert + delete': 199,
    'lru_hash lookup': 13.3,
    'lru_hash update': 86.4,
    'lru_hash insert + delete': 134,
    'lpm_trie lookup': 46.3,
    'lpm_trie update': 243,
    'lpm_trie insert + delete': 456,
    'queue push + pop': 42.5,
    'stack push + pop': 44,
    'ringbuf output 64 bytes': 34.3,
    'ringbuf reserve + submit': 36.6,
  },
};
