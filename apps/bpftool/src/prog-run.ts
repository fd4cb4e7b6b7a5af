/** `prog run`: BPF_PROG_TEST_RUN with input and output in files. */

import { defaultEngines } from '@libbpf-ts/vm';
import { createKernel, load, type Program, type ProgramSpec } from 'libbpf-ts';
import { usage } from './failure.ts';
import type { Io } from './io.ts';
import { kernelBtfOf } from './kernel-btf.ts';
import { chooseProgram, inFile, openObject, splitObject } from './object-argument.ts';
import { splitWords, valueOf } from './words.ts';

const FILES = ['data_in', 'data_out', 'ctx_in', 'ctx_out'] as const;

/** bpftool's own words: a keyword, then its value. */
function keywords(words: readonly string[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (let i = 0; i < words.length; i += 2) {
    const name = words[i]!;
    const value = words[i + 1];
    if (![...FILES, 'repeat'].includes(name))
      throw usage(`prog run does not know '${name}': data_in, data_out, ctx_in, ctx_out, repeat`);
    if (value === undefined) throw usage(`${name} needs a value`);
    if (found.has(name)) throw usage(`${name} is given twice`);
    found.set(name, value);
  }
  return found;
}

/** 0 where nothing is said: one run, also of the types that take no number (raw tracepoint, syscall). */
function repeatOf(text: string | undefined): number {
  if (text === undefined) return 0;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff)
    throw usage(`repeat ${text} is not a number from 0 to 4294967295`);
  return value;
}

/** Any program of the object, but not one that only other programs call. */
const runnable = (program: ProgramSpec): boolean => !program.subprogram;

export function progRun(words: readonly string[], io: Io): number {
  const given = splitWords(words, { flags: ['json'], values: ['engine', 'btf'] });
  const [object, ...rest] = given.plain;
  if (object === undefined) throw usage('prog run needs an OBJ');
  const files = keywords(rest);
  const repeat = repeatOf(files.get('repeat'));
  const engine = engineOf(valueOf(given, 'engine'));
  const argument = splitObject(object, io);
  const spec = openObject(argument, io);
  const program = chooseProgram(argument, spec, 'prog run', runnable);
  const input = { data: readIf(io, files.get('data_in')), ctx: readIf(io, files.get('ctx_in')) };
  using kernel = createKernel({ ...kernelBtfOf(valueOf(given, 'btf'), io), ...(engine === undefined ? {} : { engine }) });
  const task = kernel.task('bpftool-ts');
  const result = inFile(argument.path, () => {
    using loaded = load(task, spec, { programs: [program.name], pinDirectory: false });
    return runOnce(loaded.program(program.name), input, repeat);
  });
  task.exit();
  const dataOut = files.get('data_out');
  const ctxOut = files.get('ctx_out');
  if (dataOut !== undefined) io.write(dataOut, result.data);
  if (ctxOut !== undefined) io.write(ctxOut, result.ctx);
  const row = { retval: result.retval >>> 0, duration: result.duration, data_size_out: result.data.length };
  io.stdout(
    given.flags.has('json')
      ? `${JSON.stringify(row)}\n`
      : `Return value: ${row.retval}, duration (average): ${row.duration}ns\n`,
  );
  return 0;
}

function runOnce(
  program: Program,
  { data, ctx }: { data: Uint8Array | undefined; ctx: Uint8Array | undefined },
  repeat: number,
): ReturnType<Program['testRun']> {
  return program.testRun({ repeat, ...(data ? { data } : {}), ...(ctx ? { ctx } : {}) });
}

function readIf(io: Io, path: string | undefined): Uint8Array | undefined {
  return path === undefined ? undefined : io.read(path);
}

/** The engine asked for, checked. */
export function engineOf(name: string | undefined): string | undefined {
  const names = defaultEngines.map((engine) => engine.name);
  if (name === undefined || names.includes(name)) return name;
  throw usage(`there is no engine '${name}': ${names.join(', ')}`);
}
