import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fixtures, runCli } from './memory-io.ts';

const firewall = join(fixtures, 'demo/firewall.bpf.o');
const flows = join(fixtures, 'demo/flows.bpf.o');
const pcap = join(fixtures, 'demo/traffic.pcap');
const elf = new Uint8Array(readFileSync(firewall));
const capture = new Uint8Array(readFileSync(pcap));
/** The header of a big-endian eBPF object: byte order, type and machine, swapped. */
const bigEndian = ((): Uint8Array => {
  const bytes = new Uint8Array(128);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 2, 1]);
  view.setUint16(16, 1);
  view.setUint16(18, 247);
  view.setUint32(20, 1);
  view.setUint16(52, 64);
  view.setUint16(58, 64);
  view.setUint16(60, 1);
  view.setUint32(44, 64);
  return bytes;
})();
const change = (bytes: Uint8Array, offset: number, value: number): Uint8Array =>
  Uint8Array.from(bytes, (byte, i) => (i === offset ? value : byte));
const good = ['--hook', 'tcx/ingress', '--pcap', pcap];

describe('a command line that makes no sense is told in one line, with exit code 2', () => {
  test.each<[what: string, words: string[], line: RegExp]>([
    ['nothing', [], /a command is missing: run, gen, prog, help/],
    ['a typo in the command', ['rnu'], /no command 'rnu', did you mean run\?/],
    ['a typo in the prog command', ['prog', 'lod'], /no prog command 'lod', did you mean load\?/],
    ['no object', ['run', ...good], /at least one OBJ/],
    ['a typo in an option', ['run', firewall, '--hok', 'tcx/ingress'], /unknown option --hok, did you mean hook\?/],
    [
      'an unknown hook',
      ['run', firewall, '--hook', 'tcx/ingres', '--pcap', pcap],
      /no hook 'tcx\/ingres': tcx\/ingress, tcx\/egress/,
    ],
    ['no hook', ['run', firewall, '--pcap', pcap], /needs --hook/],
    ['no capture', ['run', firewall, '--hook', 'tcx/ingress'], /needs --pcap/],
    ['an option without its value', ['run', firewall, '--hook'], /--hook needs a value/],
    ['an option twice', ['run', firewall, ...good, '--pcap', pcap], /--pcap is given twice/],
    ['an unknown engine', ['run', firewall, ...good, '--engine', 'jti'], /no engine 'jti'/],
    ['a setting without a value', ['run', firewall, ...good, '--set', 'blocklist:1'], /expected MAP:KEY=VALUE/],
    ['two objects for prog load', ['prog', 'load', firewall, flows], /one OBJ/],
    ['an unknown word for prog run', ['prog', 'run', firewall, 'data', pcap], /does not know 'data'/],
    ['a repeat that is no number', ['prog', 'run', firewall, 'data_in', pcap, 'repeat', 'x'], /repeat x/],
  ])('%s', (_, words, line) => {
    const { code, out, err } = runCli(words);
    expect(err).toMatch(line);
    expect(err.trimEnd().split('\n')).toHaveLength(1);
    expect({ code, out }).toEqual({ code: 2, out: '' });
  });
});

describe('input that cannot be used is told in one line that names the file, with exit code 1', () => {
  const files = {
    'text.o': new TextEncoder().encode('not an object'),
    'empty.o': new Uint8Array(0),
    'cut.o': elf.slice(0, 100),
    'half.o': elf.slice(0, elf.length >> 1),
    'arm.o': change(elf, 18, 0x28),
    'big-endian.o': bigEndian,
    'elf32.o': change(elf, 4, 1),
    'cut.pcap': capture.slice(0, 100),
    'loopback.pcap': change(capture, 20, 0),
  };
  test.each<[what: string, words: string[], line: RegExp]>([
    ['a file that is not there', ['run', 'nowhere.o', ...good], /nowhere\.o: cannot read: there is no such file/],
    ['a directory', ['run', fixtures, ...good], /fixtures: cannot read: it is a directory/],
    ['text', ['run', 'text.o', ...good], /text\.o: .*ELF/],
    ['an empty file', ['run', 'empty.o', ...good], /empty\.o: .*ELF/],
    ['a header without its end', ['run', 'cut.o', ...good], /cut\.o: /],
    ['half a file', ['run', 'half.o', ...good], /half\.o: /],
    ['an object for another machine', ['run', 'arm.o', ...good], /arm\.o: .*machine/],
    ['a big-endian object', ['run', 'big-endian.o', ...good], /big-endian\.o: .*(big.endian|byte order)/i],
    ['a 32-bit object', ['run', 'elf32.o', ...good], /elf32\.o: .*(32|class)/i],
    ['a program that is not there', ['run', `${firewall}:firewal`, ...good], /firewall\.bpf\.o: .*firewal.*firewall/],
    [
      'a map that is not there',
      ['run', firewall, ...good, '--set', 'blocklst:1=2'],
      /no object has a map 'blocklst'; there are: reasons, blocklist/,
    ],
    ['a key that does not fit', ['run', firewall, ...good, '--set', 'blocklist:hex:0a=hex:00'], /--set blocklist/],
    [
      'a capture that is cut',
      ['run', firewall, '--hook', 'tcx/ingress', '--pcap', 'cut.pcap'],
      /cut\.pcap: .*middle of packet 1.*at byte 40/,
    ],
    [
      'a capture that is none',
      ['run', firewall, '--hook', 'tcx/ingress', '--pcap', 'text.o'],
      /text\.o: .*neither a pcap nor a pcapng/,
    ],
    [
      'a capture of another link type',
      ['run', firewall, '--hook', 'tcx/ingress', '--pcap', 'loopback.pcap'],
      /loopback\.pcap: .*BSD loopback.*only Ethernet/,
    ],
    ['packets that prog run does not take', ['prog', 'run', firewall, 'data_in', 'empty.o'], /EINVAL/],
  ])('%s', (_, words, line) => {
    const { code, out, err } = runCli(words, files);
    expect(err).toMatch(line);
    expect(err.trimEnd().split('\n')).toHaveLength(1);
    expect(err).not.toMatch(/internal error/);
    expect({ code, out }).toEqual({ code: 1, out: '' });
  });
});
