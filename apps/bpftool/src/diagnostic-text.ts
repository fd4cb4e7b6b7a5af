/** A refusal of the verifier as a compiler prints an error: the line of C, a caret, what led there, and what is missing. */

import type { VerifierDiagnostic } from 'libbpf-ts';

/** The diagnostic as lines, each indented by two spaces. */
export function diagnosticText({ code, message, insn, source, story = [], help }: VerifierDiagnostic): string {
  const width = source ? String(source.lineNumber).length : 1;
  const gutter = ' '.repeat(width);
  const at = insn === undefined || insn < 0 ? undefined : `instruction ${insn}`;
  const lines = [`error[${code}]: ${message}`];
  if (source) {
    lines.push(`${gutter}--> ${source.fileName}:${source.lineNumber}:${source.column}${at ? ` (${at})` : ''}`);
    lines.push(`${gutter} |`, `${source.lineNumber} | ${source.text}`, `${gutter} | ${caret(source.text, source.column)}`);
  } else if (at) lines.push(`${gutter}--> ${at}`);
  for (const step of story) lines.push(`${gutter} = note: instruction ${step.insn}: ${step.text}`);
  if (help) lines.push(`${gutter} = help: ${help}`);
  return `${lines.map((line) => `  ${line}`).join('\n')}\n`;
}

/** Marks a column of a line whose indentation was cut: line_info gives the column of the file, the text may have lost its tabs. */
function caret(text: string, column: number): string {
  const at = Math.min(Math.max(column - 1, 0), Math.max(text.length - 1, 0));
  const rest = /^[\w.>-]+/.exec(text.slice(at))?.[0].length ?? 1;
  return `${text.slice(0, at).replace(/[^\t]/g, ' ')}${'^'.repeat(Math.max(rest, 1))}`;
}
