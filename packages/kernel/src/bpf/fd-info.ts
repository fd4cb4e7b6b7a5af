/** /proc/PID/fdinfo/FD. */

import { BtfObject } from '../btf-object.ts';
import { BpfLink } from '../link.ts';
import { BpfMap } from '../map.ts';
import type { OpenFile } from '../open-file.ts';
import { BpfProg } from '../prog.ts';

/** The lines that the kernel shows for a file; `pos`, `flags`, `mnt_id` and `ino` are those of an anonymous inode. */
export function fdInfoText(file: OpenFile): string {
  const common = `pos:\t0\nflags:\t0200000${accessMode(file)}\nmnt_id:\t15\nino:\t1\n`;
  if (file.fdInfo) return common + file.fdInfo();
  const { object } = file;
  if (object instanceof BpfMap) return common + mapLines(object);
  if (object instanceof BpfProg) return common + progLines(object);
  if (object instanceof BpfLink) return common + linkLines(object);
  if (object instanceof BtfObject) return `${common}btf_id:\t${object.id}\n`;
  return common;
}

/** O_RDONLY, O_WRONLY, O_RDWR; links and statistics are opened read-only, whatever may be done with them. */
function accessMode({ object, canRead, canWrite }: OpenFile): 0 | 1 | 2 {
  if (!object || object.kind === 'link' || !canWrite) return 0;
  return canRead ? 2 : 1;
}

function mapLines(map: BpfMap): string {
  const { owner, ops } = map;
  return (
    lines([
      ['map_type', map.type],
      ['key_size', map.keySize],
      ['value_size', map.valueSize],
      ['max_entries', map.maxEntries],
      ['map_flags', `0x${map.flags.toString(16)}`],
      ['map_extra', `0x${map.attributes.extra.toString(16)}`],
      ['memlock', ops.memUsage?.(map) ?? 0],
      ['map_id', map.id],
      ['frozen', map.frozen ? 1 : 0],
      ...(owner
        ? ([
            ['owner_prog_type', owner.type],
            ['owner_jited', owner.jited ? 1 : 0],
          ] as const)
        : []),
    ]) + (ops.fdInfo?.(map) ?? '')
  );
}

function progLines(prog: BpfProg): string {
  return lines([
    ['prog_type', prog.type],
    ['prog_jited', 1],
    ['prog_tag', hex(prog.attributes.tag)],
    ['memlock', Math.ceil((prog.attributes.insns.length * 8 + 64) / 4096) * 4096],
    ['prog_id', prog.id],
    ['run_time_ns', prog.runTimeNs],
    ['run_cnt', prog.runCnt],
    ['recursion_misses', prog.recursionMisses],
    ['verified_insns', prog.attributes.verified.stats.processed],
  ]);
}

function linkLines(link: BpfLink): string {
  const { prog } = link;
  return (
    lines([
      ['link_type', link.ops.name],
      ['link_id', link.id],
      ...(prog
        ? ([
            ['prog_tag', hex(prog.attributes.tag)],
            ['prog_id', prog.id],
          ] as const)
        : []),
    ]) + (link.ops.fdInfo?.(link) ?? '')
  );
}

const lines = (rows: readonly (readonly [string, unknown])[]): string =>
  rows.map(([name, value]) => `${name}:\t${String(value)}\n`).join('');

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
