/** `prog load`: every program of an object, loaded by itself, with the verifier's verdict. */

import { createKernel, isVerifierError, loadEach, type ProgramResult } from 'libbpf-ts';
import { diagnosticText } from './diagnostic-text.ts';
import type { Io } from './io.ts';
import { kernelBtfOf } from './kernel-btf.ts';
import { inFile, openObject, splitObject } from './object-argument.ts';
import { splitWords, valueOf } from './words.ts';
import { usage } from './failure.ts';
import { count } from './table.ts';

export function progLoad(words: readonly string[], io: Io): number {
  const given = splitWords(words, { flags: ['json'], values: ['btf', 'log-level'] });
  const [object, extra] = given.plain;
  if (object === undefined) throw usage('prog load needs an OBJ');
  if (extra !== undefined) throw usage(`prog load takes one OBJ, '${extra}' is too many`);
  const argument = splitObject(object, io);
  const spec = openObject(argument, io);
  const logLevel = logLevelOf(valueOf(given, 'log-level'));
  using kernel = createKernel(kernelBtfOf(valueOf(given, 'btf'), io));
  const task = kernel.task('bpftool-ts');
  const results = inFile(argument.path, () =>
    loadEach(task, spec, {
      pinDirectory: false,
      logLevel,
      ...(argument.program === undefined ? {} : { programs: [argument.program] }),
    }),
  );
  task.exit();
  io.stdout(
    given.flags.has('json')
      ? `${JSON.stringify(results.map(row), null, 1)}\n`
      : results.map((result) => paragraph(result, logLevel > 0)).join('') + closing(results),
  );
  return 0;
}

/** The entry of a program in the JSON array. */
function row(result: ProgramResult): Record<string, string | number> {
  const { section, name, type, verdict, errno, log_tail, insn_cnt, verified_insns } = result;
  return { section, name, type, verdict, errno, log_tail, insn_cnt, verified_insns };
}

function paragraph(result: ProgramResult, rawLog: boolean): string {
  const { name, section, type, insn_cnt, verified_insns, error } = result;
  const head = `${result.verdict === 'accept' ? 'accept' : 'REJECT'}  ${name}  (${section}, ${type}, ${insn_cnt} instructions, ${verified_insns} verified)\n`;
  if (rawLog) return `${head}${result.log.trimEnd()}\n`;
  if (result.verdict === 'accept') return head;
  const found = isVerifierError(error) ? error.diagnostics : [];
  return `${head}  ${result.errno_name}: ${result.log_tail}\n${found.map(diagnosticText).join('')}`;
}

/** BPF_LOG_* bits: 1 and 2 for the instructions with their states, 4 for statistics. */
function logLevelOf(text: string | undefined): number {
  if (text === undefined) return 0;
  if (!/^[0-7]$/.test(text)) throw usage(`--log-level ${text} is not a number from 0 to 7`);
  return Number(text);
}

function closing(results: readonly ProgramResult[]): string {
  const accepted = results.filter(({ verdict }) => verdict === 'accept').length;
  return `${count(results.length, 'program')}: ${accepted} accepted, ${results.length - accepted} rejected\n`;
}
