/** func_info and line_info as BPF_PROG_LOAD checks them. Mirrors check_btf_func and check_btf_line of kernel/bpf/verifier.c. */

import type { Btf } from '@libbpf-ts/btf';
import type { BpfInsn } from '@libbpf-ts/isa';
import { KernelError } from '@libbpf-ts/uapi';
import type { FuncInfo, LineInfo } from '@libbpf-ts/verifier';

import type { BpfCall } from '../call.ts';
import type { LogBuffer } from './log-buffer.ts';

export const FUNC_INFO_SIZE = 8;
export const LINE_INFO_SIZE = 16;
const MAX_RECORD = 252;

export interface Records<T> {
  readonly rows: readonly T[];
  /** As the kernel keeps them: records of its own size. */
  readonly raw: Uint8Array;
}

/** Throws EINVAL, E2BIG, EFAULT; the reason goes to the log where the kernel logs it. */
export function readFuncInfo(call: BpfCall<5>, btf: Btf, log: LogBuffer): Records<FuncInfo> {
  const { func_info, func_info_cnt, func_info_rec_size: size } = call.attr;
  if (func_info_cnt === 0) return { rows: [], raw: new Uint8Array(0) };
  if (size < FUNC_INFO_SIZE || size > MAX_RECORD || size % 4 !== 0)
    refuse(log, `invalid func info rec size ${size}`, 'func_info_rec_size');
  const raw = readRecords(call, log, {
    address: func_info,
    count: func_info_cnt,
    size,
    ownSize: FUNC_INFO_SIZE,
    name: 'func_info',
    text: 'func info',
  });
  const view = new DataView(raw.buffer);
  const rows: FuncInfo[] = [];
  for (let at = 0; at < raw.length; at += FUNC_INFO_SIZE) {
    const row = { insn_off: view.getUint32(at, true), type_id: view.getUint32(at + 4, true) };
    const before = rows[rows.length - 1]?.insn_off;
    if (before === undefined && row.insn_off !== 0)
      refuse(log, `nonzero insn_off ${row.insn_off} for the first func info record`, 'func_info');
    if (before !== undefined && row.insn_off <= before) {
      refuse(log, `same or smaller insn offset (${row.insn_off}) than previous func info record (${before})`, 'func_info');
    }
    checkFunction(btf, row.type_id, log);
    rows.push(row);
  }
  return { rows, raw };
}

function checkFunction(btf: Btf, id: number, log: LogBuffer): void {
  const type = id < btf.typeCount ? btf.type(id) : undefined;
  if (type?.kind !== 'FUNC') refuse(log, `invalid type id ${id} in func info`, 'func_info');
  else if (btf.type(type.type).kind !== 'FUNC_PROTO')
    throw new KernelError('EINVAL', `type ${id} has no prototype`, 'func_info');
}

/** `starts` are the first instructions of the program's functions, undefined where the program has jumps out of itself. */
export function readLineInfo(
  call: BpfCall<5>,
  btf: Btf,
  insns: readonly BpfInsn[],
  starts: readonly number[] | undefined,
  log: LogBuffer,
): Records<LineInfo> {
  const { line_info, line_info_cnt, line_info_rec_size: size } = call.attr;
  if (line_info_cnt === 0) return { rows: [], raw: new Uint8Array(0) };
  if (line_info_cnt > 0x7fff_ffff / LINE_INFO_SIZE)
    throw new KernelError('EINVAL', 'too many line info records', 'line_info_cnt');
  if (size < LINE_INFO_SIZE || size > MAX_RECORD || size % 4 !== 0)
    throw new KernelError('EINVAL', `line info records of ${size} bytes`, 'line_info_rec_size');
  const raw = readRecords(call, log, {
    address: line_info,
    count: line_info_cnt,
    size,
    ownSize: LINE_INFO_SIZE,
    name: 'line_info',
    text: 'line_info',
  });
  const view = new DataView(raw.buffer);
  const rows: LineInfo[] = [];
  let next = 0;
  let before = 0;
  for (let i = 0; i < line_info_cnt; i++) {
    const at = i * LINE_INFO_SIZE;
    const insn_off = view.getUint32(at, true);
    const bad = `Invalid line_info[${i}]`;
    if ((i > 0 && insn_off <= before) || insn_off >= insns.length) {
      refuse(log, `${bad}.insn_off:${insn_off} (prev_offset:${before} prog->len:${insns.length})`, 'line_info');
    }
    if (insns[insn_off]!.code === 0) refuse(log, `Invalid insn code at line_info[${i}].insn_off`, 'line_info');
    const file = stringAt(btf, view.getUint32(at + 4, true));
    const line = stringAt(btf, view.getUint32(at + 8, true));
    if (file === undefined || line === undefined) refuse(log, `${bad}.line_off or .file_name_off`, 'line_info');
    if (starts && next < starts.length) {
      if (insn_off === starts[next]) next++;
      else if (starts[next]! < insn_off) refuse(log, `missing bpf_line_info for func#${next}`, 'line_info');
    }
    const column = view.getUint32(at + 12, true);
    rows.push({ insn_off, fileName: file!, line: line!, lineNumber: column >>> 10, column: column & 0x3ff });
    before = insn_off;
  }
  if (starts && next < starts.length)
    refuse(log, `missing bpf_line_info for ${starts.length - next} funcs starting from func#${next}`, 'line_info');
  return { rows, raw };
}

/** Where the functions of a program start, in order; undefined where a call leaves the program. */
export function functionStarts(insns: readonly BpfInsn[]): readonly number[] | undefined {
  const starts = new Set([0]);
  for (const [index, { code, src_reg, imm }] of insns.entries()) {
    const isCall = (code === 0x85 && src_reg === 1) || (code === 0x18 && src_reg === 4);
    if (!isCall) continue;
    const start = index + imm + 1;
    if (start < 0 || start >= insns.length) return undefined;
    starts.add(start);
  }
  return [...starts].sort((a, b) => a - b);
}

interface RecordList {
  readonly address: bigint;
  readonly count: number;
  readonly size: number;
  readonly ownSize: number;
  readonly name: 'func_info' | 'line_info';
  /** As the log calls it. */
  readonly text: string;
}

/** Records of the caller's size, cut to ours; what is longer must be zero (`bpf_check_uarg_tail_zero`). */
function readRecords(call: BpfCall<5>, log: LogBuffer, list: RecordList): Uint8Array<ArrayBuffer> {
  const { address, count, size, ownSize, name } = list;
  const raw = new Uint8Array(count * ownSize);
  for (let i = 0; i < count; i++) {
    const record = call.read(address + BigInt(i * size), size, name);
    if (record.subarray(ownSize).some((byte) => byte !== 0)) {
      log.write(`nonzero tailing record in ${list.text}`);
      call.put(`${name}_rec_size`, ownSize);
      throw new KernelError('E2BIG', `record ${i} has bytes that this kernel does not know`, name);
    }
    raw.set(record.subarray(0, ownSize), i * ownSize);
  }
  return raw;
}

function stringAt(btf: Btf, offset: number): string | undefined {
  return offset < btf.stringEnd ? btf.string(offset) : undefined;
}

/** Some of the kernel's messages end in a newline, some do not; those of func_info do not, but for the record size. */
function refuse(log: LogBuffer, message: string, argument: string): never {
  log.write(argument === 'func_info' ? message : `${message}\n`);
  throw new KernelError('EINVAL', message, argument);
}
