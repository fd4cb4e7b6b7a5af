/** `run`: programs on a hook of a device, every packet of a capture through it, and what became of each. */

import {
  isPcapError,
  LINKTYPE_ETHERNET,
  linkTypeName,
  readCapture,
  writePcapng,
  type Capture,
  type PacketToWrite,
} from '@libbpf-ts/pcap';
import { VirtualClock } from '@libbpf-ts/kernel';
import { BPF_ENABLE_STATS, BPF_PROG_TYPE_SCHED_CLS, BPF_STATS_RUN_TIME } from '@libbpf-ts/uapi';
import { createKernel, load, tcx, type ProgramSpec } from 'libbpf-ts';
import { Failure, usage } from './failure.ts';
import type { Io } from './io.ts';
import { kernelBtfOf } from './kernel-btf.ts';
import { applySetting, parseSetting, type MapSetting } from './map-setting.ts';
import { chooseProgram, inFile, openObject, splitObject, type ObjectArgument } from './object-argument.ts';
import { progress } from './progress.ts';
import { engineOf } from './prog-run.ts';
import { packetLine, personReport, summaryLine, type RunSummary } from './run-report.ts';
import type { Attached, PacketResult } from './run-result.ts';
import { Sender } from './sender.ts';
import { splitWords, valueOf } from './words.ts';

/** The hooks that `run` knows, with the attach direction of each. */
const HOOKS = { 'tcx/ingress': 'ingress', 'tcx/egress': 'egress' } as const;

interface Request {
  readonly objects: readonly ObjectArgument[];
  readonly hook: keyof typeof HOOKS;
  readonly pcap: string;
  readonly write: string | undefined;
  readonly settings: readonly MapSetting[];
  readonly engine: string | undefined;
  readonly json: boolean;
  readonly btf: string | undefined;
}

export function run(words: readonly string[], io: Io): number {
  const request = parseRequest(words, io);
  const capture = openCapture(request.pcap, io);
  const specs = request.objects.map((argument) => openObject(argument, io));
  const programs = request.objects.map((argument, i) => chooseProgram(argument, specs[i]!, request.hook, isForTc));
  const clock = new VirtualClock();
  using kernel = createKernel({
    clock,
    ...kernelBtfOf(request.btf, io),
    ...(request.engine === undefined ? {} : { engine: request.engine }),
  });
  const device = kernel.net.addDevice({ name: 'eth0' });
  const task = kernel.task('bpftool-ts');
  task.bpf(BPF_ENABLE_STATS, { type: BPF_STATS_RUN_TIME });
  const hook = tcx(task, device.name, HOOKS[request.hook]);
  const attached = request.objects.map(({ path }, i): Attached =>
    inFile(path, () => {
      const object = load(task, specs[i]!, { programs: [programs[i]!.name], pinDirectory: false });
      const program = object.program(programs[i]!.name);
      program.attach(hook, { at: 'tail' });
      return { path, object, program };
    }),
  );
  applySettings(attached, request.settings);
  const sender = new Sender({ device, clock, direction: HOOKS[request.hook], attached });
  const sent = sendAll(sender, capture, request, io);
  if (request.write !== undefined) io.write(request.write, writePcapng(sent.kept, device.name));
  const summary: RunSummary = {
    hook: hook.name,
    packets: capture.packets.length,
    verdicts: sent.verdicts,
    first: sent.first,
    attached,
  };
  io.stdout(request.json ? summaryLine(summary) : personReport(summary));
  return 0;
}

/** How many packets a person sees one by one. */
const FIRST = 10;

interface Sent {
  readonly verdicts: Map<string, number>;
  readonly first: PacketResult[];
  readonly kept: PacketToWrite[];
}

/** Sends every packet; in JSON each line is printed as its packet is done. */
function sendAll(sender: Sender, capture: Capture, request: Request, io: Io): Sent {
  const sent: Sent = { verdicts: new Map(), first: [], kept: [] };
  const bar = progress(io, capture.packets.length);
  for (const [index, packet] of capture.packets.entries()) {
    const { result, kept } = sender.send(packet, index + 1);
    sent.verdicts.set(result.verdict, (sent.verdicts.get(result.verdict) ?? 0) + 1);
    if (request.json) io.stdout(packetLine(result));
    else if (sent.first.length < FIRST) sent.first.push(result);
    if (request.write !== undefined && kept) sent.kept.push(kept);
    bar.update(index + 1);
  }
  bar.end();
  return sent;
}

function parseRequest(words: readonly string[], io: Io): Request {
  const given = splitWords(words, { flags: ['json'], values: ['hook', 'pcap', 'write', 'engine', 'btf'], repeated: ['set'] });
  const hook = valueOf(given, 'hook');
  const pcap = valueOf(given, 'pcap');
  if (given.plain.length === 0) throw usage('run needs at least one OBJ');
  if (hook === undefined) throw usage('run needs --hook');
  if (!Object.hasOwn(HOOKS, hook)) throw usage(`there is no hook '${hook}': ${Object.keys(HOOKS).join(', ')}`);
  if (pcap === undefined) throw usage('run needs --pcap');
  return {
    objects: given.plain.map((word) => splitObject(word, io)),
    hook: hook as Request['hook'],
    pcap,
    write: valueOf(given, 'write'),
    settings: (given.values.get('set') ?? []).map(parseSetting),
    engine: engineOf(valueOf(given, 'engine')),
    json: given.flags.has('json'),
    btf: valueOf(given, 'btf'),
  };
}

const isForTc = (program: ProgramSpec): boolean => program.type === BPF_PROG_TYPE_SCHED_CLS && !program.subprogram;

function openCapture(path: string, io: Io): Capture {
  const bytes = io.read(path);
  try {
    const capture = readCapture(bytes);
    if (capture.packets.length > 0 && capture.linkType !== LINKTYPE_ETHERNET) {
      throw new Failure(
        `${path}: the capture is ${linkTypeName(capture.linkType)}; only Ethernet frames can be sent through a device, record on one`,
      );
    }
    return capture;
  } catch (error) {
    if (isPcapError(error)) throw new Failure(`${path}: ${error.message}`);
    throw error;
  }
}

function applySettings(attached: readonly Attached[], settings: readonly MapSetting[]): void {
  for (const setting of settings) {
    const owners = attached.filter(({ object }) => setting.map in object.maps);
    if (owners.length === 0) {
      const known = attached.flatMap(({ object }) => Object.keys(object.maps));
      throw new Failure(`--set: no object has a map '${setting.map}'; there are: ${known.join(', ') || 'none'}`);
    }
    for (const { object } of owners) applySetting(object.map(setting.map), setting);
  }
}
