/** Commands of bpf(2), `enum bpf_cmd`. */

export const BPF_MAP_CREATE = 0;
export const BPF_MAP_LOOKUP_ELEM = 1;
export const BPF_MAP_UPDATE_ELEM = 2;
export const BPF_MAP_DELETE_ELEM = 3;
export const BPF_MAP_GET_NEXT_KEY = 4;
export const BPF_PROG_LOAD = 5;
export const BPF_OBJ_PIN = 6;
export const BPF_OBJ_GET = 7;
export const BPF_PROG_ATTACH = 8;
export const BPF_PROG_DETACH = 9;
export const BPF_PROG_TEST_RUN = 10;
export const BPF_PROG_RUN = 10;
export const BPF_PROG_GET_NEXT_ID = 11;
export const BPF_MAP_GET_NEXT_ID = 12;
export const BPF_PROG_GET_FD_BY_ID = 13;
export const BPF_MAP_GET_FD_BY_ID = 14;
export const BPF_OBJ_GET_INFO_BY_FD = 15;
export const BPF_PROG_QUERY = 16;
export const BPF_RAW_TRACEPOINT_OPEN = 17;
export const BPF_BTF_LOAD = 18;
export const BPF_BTF_GET_FD_BY_ID = 19;
export const BPF_TASK_FD_QUERY = 20;
export const BPF_MAP_LOOKUP_AND_DELETE_ELEM = 21;
export const BPF_MAP_FREEZE = 22;
export const BPF_BTF_GET_NEXT_ID = 23;
export const BPF_MAP_LOOKUP_BATCH = 24;
export const BPF_MAP_LOOKUP_AND_DELETE_BATCH = 25;
export const BPF_MAP_UPDATE_BATCH = 26;
export const BPF_MAP_DELETE_BATCH = 27;
export const BPF_LINK_CREATE = 28;
export const BPF_LINK_UPDATE = 29;
export const BPF_LINK_GET_FD_BY_ID = 30;
export const BPF_LINK_GET_NEXT_ID = 31;
export const BPF_ENABLE_STATS = 32;
export const BPF_ITER_CREATE = 33;
export const BPF_LINK_DETACH = 34;
export const BPF_PROG_BIND_MAP = 35;
export const BPF_TOKEN_CREATE = 36;
export const BPF_PROG_STREAM_READ_BY_FD = 37;

/** Names by number; where two names share a number, the first of the header. */
export const BPF_CMD_NAMES: ReadonlyMap<number, string> = new Map([
  [0, 'BPF_MAP_CREATE'],
  [1, 'BPF_MAP_LOOKUP_ELEM'],
  [2, 'BPF_MAP_UPDATE_ELEM'],
  [3, 'BPF_MAP_DELETE_ELEM'],
  [4, 'BPF_MAP_GET_NEXT_KEY'],
  [5, 'BPF_PROG_LOAD'],
  [6, 'BPF_OBJ_PIN'],
  [7, 'BPF_OBJ_GET'],
  [8, 'BPF_PROG_ATTACH'],
  [9, 'BPF_PROG_DETACH'],
  [10, 'BPF_PROG_TEST_RUN'],
  [11, 'BPF_PROG_GET_NEXT_ID'],
  [12, 'BPF_MAP_GET_NEXT_ID'],
  [13, 'BPF_PROG_GET_FD_BY_ID'],
  [14, 'BPF_MAP_GET_FD_BY_ID'],
  [15, 'BPF_OBJ_GET_INFO_BY_FD'],
  [16, 'BPF_PROG_QUERY'],
  [17, 'BPF_RAW_TRACEPOINT_OPEN'],
  [18, 'BPF_BTF_LOAD'],
  [19, 'BPF_BTF_GET_FD_BY_ID'],
  [20, 'BPF_TASK_FD_QUERY'],
  [21, 'BPF_MAP_LOOKUP_AND_DELETE_ELEM'],
  [22, 'BPF_MAP_FREEZE'],
  [23, 'BPF_BTF_GET_NEXT_ID'],
  [24, 'BPF_MAP_LOOKUP_BATCH'],
  [25, 'BPF_MAP_LOOKUP_AND_DELETE_BATCH'],
  [26, 'BPF_MAP_UPDATE_BATCH'],
  [27, 'BPF_MAP_DELETE_BATCH'],
  [28, 'BPF_LINK_CREATE'],
  [29, 'BPF_LINK_UPDATE'],
  [30, 'BPF_LINK_GET_FD_BY_ID'],
  [31, 'BPF_LINK_GET_NEXT_ID'],
  [32, 'BPF_ENABLE_STATS'],
  [33, 'BPF_ITER_CREATE'],
  [34, 'BPF_LINK_DETACH'],
  [35, 'BPF_PROG_BIND_MAP'],
  [36, 'BPF_TOKEN_CREATE'],
  [37, 'BPF_PROG_STREAM_READ_BY_FD'],
]);
