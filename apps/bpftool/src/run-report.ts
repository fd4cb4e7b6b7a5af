/** What `run` prints: JSON lines for programs, tables for a person. */

import type { BpfMap } from 'libbpf-ts';
import type { Attached, PacketResult } from './run-result.ts';
import { count, table } from './table.ts';

export interface RunSummary {
  /** For a person: `tcx/ingress of eth0`. */
  readonly hook: string;
  readonly packets: number;
  readonly verdicts: ReadonlyMap<string, number>;
  /** The first packets, for a person. */
  readonly first: readonly PacketResult[];
  readonly attached: readonly Attached[];
}

/** The line of one packet. */
export function packetLine({ packet, len, verdict, code, path }: PacketResult): string {
  return `${JSON.stringify({ packet, len, verdict, code, path })}\n`;
}

/** Maps of all objects; one whose name another object uses too is `OBJECT/NAME`. Data sections belong to the compiler: left out. */
function mapsOf(attached: readonly Attached[]): readonly { readonly label: string; readonly map: BpfMap }[] {
  const all = attached.flatMap(({ path, object }) => Object.values(object.maps).map((map) => ({ path, map })));
  return all.map(({ path, map }) => {
    const shared = all.some((other) => other.map !== map && other.map.name === map.name);
    return { label: shared ? `${path.split('/').at(-1)}/${map.name}` : map.name, map };
  });
}

/** The entries of a map as JSON texts; `undefined` where the map's type gives its contents to nobody. */
function entriesOf(map: BpfMap): readonly { readonly key: string; readonly value: string }[] | undefined {
  try {
    return [...map.entriesBytes()].map(([key, value]) => ({ key: map.keyJson(key), value: map.valueJson(value) }));
  } catch (error) {
    if (error instanceof Error && 'errno' in error) return undefined;
    throw error;
  }
}

/** The closing line: counts, programs and maps. Values are written as bpftool writes them; numbers of 64 bits keep all digits. */
export function summaryLine({ packets, verdicts, attached }: RunSummary): string {
  const programs = attached.map(({ program }) => {
    const { run_cnt, run_time_ns } = program.info();
    return `{"name":${JSON.stringify(program.name)},"run_cnt":${run_cnt},"run_time_ns":${run_time_ns}}`;
  });
  const maps = mapsOf(attached).map(({ label, map }) => {
    const entries = entriesOf(map);
    const body =
      entries === undefined ? 'null' : `[${entries.map(({ key, value }) => `{"key":${key},"value":${value}}`).join(',')}]`;
    return `${JSON.stringify(label)}:${body}`;
  });
  const counts = JSON.stringify(Object.fromEntries(verdicts));
  return `{"summary":{"packets":${packets},"verdicts":${counts},"programs":[${programs.join(',')}],"maps":{${maps.join(',')}}}}\n`;
}

/** Everything for a person. */
export function personReport(summary: RunSummary): string {
  const { hook, packets, verdicts, first, attached } = summary;
  return [
    `Hook ${hook}\n`,
    table(attached.map(({ program, path }, i) => [i + 1, program.name, path])),
    `\nPackets${packets > first.length ? ` (the first ${first.length} of ${packets})` : ''}\n`,
    table(
      first.map(({ packet, len, path, verdict }) => [
        packet,
        `${len} B`,
        [...path.map(({ prog, ret }) => `${prog}: ${retName(ret)}`), verdict].join(' → '),
      ]),
    ),
    `\nVerdicts of ${count(packets, 'packet')}\n`,
    table([...verdicts].map(([verdict, number]) => [verdict, number])),
    '\nPrograms\n',
    table(attached.map(({ program }) => programRow(program))),
    ...mapsOf(attached).map(mapParagraph),
  ].join('');
}

const RETURN_NAMES: Readonly<Record<number, string>> = { [-1]: 'NEXT', 0: 'PASS', 2: 'DROP', 7: 'REDIRECT' };
const retName = (ret: number): string => RETURN_NAMES[ret] ?? String(ret);

function programRow(program: Attached['program']): readonly (string | number | bigint)[] {
  const { run_cnt, run_time_ns } = program.info();
  const each = run_cnt === 0n ? '' : `${(Number(run_time_ns) / Number(run_cnt)).toFixed(0)} ns a run`;
  return [program.name, `${run_cnt} runs`, `${run_time_ns} ns`, each];
}

function mapParagraph({ label, map }: { readonly label: string; readonly map: BpfMap }): string {
  const entries = entriesOf(map);
  if (entries === undefined) return `\nMap ${label}: its contents cannot be read\n`;
  const rows = entries.map(({ key, value }) => [key, value]);
  return `\nMap ${label} (${count(entries.length, 'element')})\n${table(rows)}`;
}
