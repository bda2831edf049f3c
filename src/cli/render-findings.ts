/**
 * What `check` prints: the findings by subject, a line each; below those to be mended, the text to paste.
 *
 *   source
 *     ok       reachable             MySQL 9.7.4 at 127.0.0.1:3306, as repl@%
 *     warning  binlog_row_image      binlog_row_image=MINIMAL: …
 *              paste on the source 127.0.0.1:3306:
 *                SET PERSIST binlog_row_image = 'FULL';
 */
import { styleText } from 'node:util';
import { errorReference } from '../base/errors.ts';
import { type Finding, type Level, placeText } from '../preflight/finding.ts';

const STYLES = { ok: 'green', warning: 'yellow', error: 'red' } as const satisfies Record<Level, string>;
const LEVEL_WIDTH = 'warning'.length;
const ID_WIDTH_MAX = 28;
/** What the host's findings stand below. */
export const HOST = 'this machine';
const INDENT = ' '.repeat(2 + LEVEL_WIDTH + 2);

export function renderFindings(title: string, findings: readonly Finding[], colour: boolean): string {
  const lines = title === HOST ? [''] : ['', title];
  const width = Math.min(ID_WIDTH_MAX, Math.max(...findings.map(({ id }) => id.length)));
  let subject = '';
  for (const finding of findings) {
    if (finding.subject !== subject) lines.push(` ${finding.subject === 'host' ? HOST : finding.subject}`);
    subject = finding.subject;
    lines.push(...findingLines(finding, width, colour));
  }
  return `${lines.join('\n')}\n`;
}

function findingLines(finding: Finding, width: number, colour: boolean): string[] {
  const { level, id, message, code, advice, remedy, skipped } = finding;
  const word = (skipped ? 'skipped' : level).padEnd(LEVEL_WIDTH);
  const style = skipped ? 'gray' : STYLES[level];
  const painted = colour ? styleText(style, word, { validateStream: false }) : word;
  const lines = [`  ${painted}  ${id.padEnd(width)}  ${oneLine(message)}`];
  const advised = advice === null ? [] : [`${INDENT}${oneLine(advice)}`];
  // It leads up to what is pasted, or says what else there is.
  const leadsUp = advice?.endsWith(':') === true || remedy === null;
  if (leadsUp) lines.push(...advised);
  if (remedy !== null) {
    lines.push(`${INDENT}paste ${placeText(remedy)}:`);
    for (const line of remedy.text.split('\n')) lines.push(`${INDENT}  ${printable(line)}`);
  }
  if (!leadsUp) lines.push(...advised);
  if (code !== null) lines.push(`${INDENT}${errorReference(code)}`);
  return lines;
}

export function countFindings(findings: readonly Finding[]): Readonly<Record<Level, number>> {
  const count = { ok: 0, warning: 0, error: 0 };
  for (const { level } of findings) count[level] += 1;
  return count;
}

/** `48 ok, 2 skipped, 1 warning, no errors` */
export function summaryText(findings: readonly Finding[]): string {
  const { ok, warning, error } = countFindings(findings);
  const skipped = findings.filter((finding) => finding.skipped).length;
  const unseen = skipped === 0 ? '' : `, ${skipped} skipped`;
  const many = (count: number, word: string): string =>
    count === 0 ? `no ${word}s` : `${count} ${word}${count === 1 ? '' : 's'}`;
  return `${ok - skipped} ok${unseen}, ${many(warning, 'warning')}, ${many(error, 'error')}`;
}

function oneLine(text: string): string {
  return printable(text.replace(/\s*\n\s*/g, ' '));
}

/** What a server said may hold anything: no control characters. */
function printable(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}
