import { missingTool } from '@libbpf-ts/testkit';
import { readCapture } from '@libbpf-ts/pcap';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fixtures, runCli } from './memory-io.ts';

const demo = join(fixtures, 'demo');
const words = [
  'run',
  join(demo, 'flows.bpf.o'),
  `${join(demo, 'firewall.bpf.o')}:firewall`,
  '--hook',
  'tcx/ingress',
  '--pcap',
  join(demo, 'traffic.pcap'),
  '--set',
  'blocklist:10.9.0.102={"hits":0,"note":7}',
  '--btf',
  'none',
];

interface PacketLine {
  readonly packet: number;
  readonly len: number;
  readonly verdict: string;
  readonly code: number;
  readonly path: readonly { readonly prog: string; readonly ret: number }[];
}

function jsonRun(extra: readonly string[] = []): {
  readonly packets: readonly PacketLine[];
  readonly summary: Record<string, unknown>;
  readonly written: ReadonlyMap<string, Uint8Array>;
} {
  const { code, out, err, written } = runCli([...words, '--json', ...extra]);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  const lines = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return {
    packets: lines.slice(0, -1) as unknown as PacketLine[],
    summary: lines.at(-1)!['summary'] as Record<string, unknown>,
    written,
  };
}

/** IPv4 packets of the blocked host, by reading the capture ourselves. */
const blocked = readCapture(new Uint8Array(execFileSync('cat', [join(demo, 'traffic.pcap')]))).packets.map(
  ({ data }) => data[12] === 8 && data[13] === 0 && data.length >= 34 && data[26] === 10 && data[27] === 9 && data[29] === 102,
);

describe.each(['jit', 'first-tier', 'interpreter', 'tiered'])('the demo on the %s', (engine) => {
  const { packets, summary, written } = jsonRun(['--engine', engine, '--write', 'kept.pcapng']);

  test('drops what comes from the blocked host and nothing else', () => {
    expect(packets.map(({ verdict }) => verdict === 'TCX_DROP')).toEqual(blocked);
    expect(packets.map(({ packet }) => packet)).toEqual(packets.map((_, i) => i + 1));
  });

  test('tells the path of each packet', () => {
    const dropped = packets.find(({ verdict }) => verdict === 'TCX_DROP');
    expect(dropped).toMatchObject({
      code: 2,
      path: [
        { prog: 'flow_counter', ret: -1 },
        { prog: 'firewall', ret: 2 },
      ],
    });
  });

  test('sums up', () => {
    const drops = blocked.filter(Boolean).length;
    expect(summary['packets']).toBe(packets.length);
    expect(summary['verdicts']).toEqual({ TCX_NEXT: packets.length - drops, TCX_DROP: drops });
    expect(summary['programs']).toMatchObject([
      { name: 'flow_counter', run_cnt: packets.length },
      { name: 'firewall', run_cnt: packets.length },
    ]);
    const maps = summary['maps'] as Record<
      string,
      readonly { readonly key: unknown; readonly value: Record<string, unknown> }[]
    >;
    expect(maps['blocklist']).toEqual([{ key: 0x6600090a, value: { hits: drops, note: 7, pad: 0 } }]);
    expect(maps['flows']!.reduce((sum, { value }) => sum + Number(value['packets']), 0)).toBe(packets.length - 3);
    expect(maps['flows']!.map(({ key }) => (key as Record<string, unknown>)['vlan'])).toContain(42);
  });

  test('writes the packets that were kept', () => {
    const kept = readCapture(written.get('kept.pcapng')!);
    expect(kept.packets).toHaveLength(blocked.filter((drop) => !drop).length);
  });

  test('Wireshark reads what it wrote, verdicts and comments included', (context) => {
    const missing = missingTool('tshark');
    if (missing) context.skip(missing);
    const folder = mkdtempSync(join(tmpdir(), 'kept-'));
    try {
      const file = join(folder, 'kept.pcapng');
      writeFileSync(file, written.get('kept.pcapng')!);
      const fields = ['frame.verdict.ebpf_tc', 'frame.comment'].flatMap((field) => ['-e', field]);
      const lines = execFileSync('tshark', ['-r', file, '-T', 'fields', ...fields], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      })
        .trimEnd()
        .split('\n');
      expect(new Set(lines)).toEqual(new Set(['-1\tTCX_NEXT: flow_counter, firewall let it pass on']));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test('for a person it prints the order, paths, counts and maps', () => {
  const { code, out } = runCli(words);
  expect(code).toBe(0);
  expect(out).toMatch(/Hook tcx\/ingress of eth0\n {2}1 {2}flow_counter .*\n {2}2 {2}firewall /);
  expect(out).toMatch(/flow_counter: NEXT → firewall: NEXT → TCX_NEXT/);
  expect(out).toMatch(/Verdicts of 46 packets/);
  expect(out).toMatch(/Map blocklist \(1 element\)/);
});

test('prog run gives what the program returned, unsigned', () => {
  const packet = new Uint8Array(64).fill(1);
  const { code, out } = runCli(
    ['prog', 'run', join(demo, 'firewall.bpf.o'), 'data_in', 'packet', 'repeat', '10', '--json', '--btf', 'none'],
    { packet },
  );
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ retval: 0xffff_ffff, data_size_out: 64 });
});

test('gen skeleton prints a module with the types of the maps', () => {
  const { code, out } = runCli(['gen', 'skeleton', join(demo, 'flows.bpf.o')]);
  expect(code).toBe(0);
  expect(out).toMatch(/readonly flows: BpfMap<flow, counters>;/);
});
