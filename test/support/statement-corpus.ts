/**
 * Reads the files of test/fixtures/statements: statements with what must be there before them.
 *
 *   == @t @src2.p [ansi_quotes,quiet]     a case: tables to be made first, and options
 *   CREATE VIEW src2.v AS SELECT 1;       more to be run first, where a line --> follows
 *   -->
 *   DROP VIEW src2.v                      the statement
 *   -->
 *   DROP VIEW IF EXISTS src2.v            another one, a case of its own, after the same preparation
 *
 * Text before the first == and lines of dashes with a title are for the reader. The databases src1 (the default) and src2
 * are there and empty. A table whose name is p has partitions, any other is (id, v, w) with two rows.
 *
 *   ansi_quotes no_backslash_escapes oracle    sql_mode
 *   charset=gbk          the statement is sent in this character set
 *   quiet                it runs, and nothing can be seen to have changed
 *   follows=u            this table changes because another does (a foreign key)
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from './repository.ts';

export interface StatementCase {
  /** File and line. */
  readonly place: string;
  readonly tables: readonly string[];
  readonly before: readonly string[];
  readonly statement: string;
  readonly modes: readonly string[];
  readonly charset: string;
  readonly quiet: boolean;
  readonly follows: readonly string[];
}

const MODES = new Set(['ansi_quotes', 'no_backslash_escapes', 'oracle']);
const ARROW = /^-->\n?/m;

export function readStatementCases(file: string): StatementCase[] {
  const text = readFileSync(join(repositoryRoot, 'test', 'fixtures', 'statements', file), 'utf8').replace(
    /^-{20,} .*\n/gm,
    '',
  );
  const cases: StatementCase[] = [];
  let line = 1;
  for (const block of text.split(/^(?===)/m)) {
    if (block.startsWith('==')) cases.push(...casesOf(block, `${file}:${line}`));
    line += block.split('\n').length - 1;
  }
  return cases;
}

function casesOf(block: string, place: string): StatementCase[] {
  const end = block.indexOf('\n');
  const head = block.slice(2, end);
  const options = [...head.matchAll(/\[([^\]]*)\]/g)].flatMap((match) => match[1]!.split(','));
  const parts = block
    .slice(end + 1)
    .split(ARROW)
    .map((part) => part.trim());
  const prepares = parts.length > 1 && parts[0]!.endsWith(';');
  const before = prepares ? parts[0]!.split(/;\n|;$/).filter((each) => each.trim() !== '') : [];
  const statements = (prepares ? parts.slice(1) : parts).filter((each) => each !== '');
  const unknown = options.filter((each) => !MODES.has(each) && !/^(quiet$|charset=|follows=)/.test(each));
  if (unknown.length > 0 || statements.length === 0) throw new Error(`${place} cannot be read: ${head}`);
  const valuesOf = (name: string): string[] =>
    options.filter((each) => each.startsWith(`${name}=`)).map((each) => each.slice(name.length + 1));
  return statements.map((statement) => ({
    place,
    tables: [...head.matchAll(/@(\S+)/g)].map((match) => match[1]!),
    before,
    statement,
    modes: options.filter((each) => MODES.has(each)),
    charset: valuesOf('charset')[0] ?? 'utf8mb4',
    quiet: options.includes('quiet'),
    follows: valuesOf('follows'),
  }));
}

/** The statements that make a table of a case: `t`, `src2.p`. */
export function tableStatements(table: string): string[] {
  const name = table
    .split('.')
    .map((part) => `\`${part}\``)
    .join('.');
  const partitions = /(^|\.)p$/.test(table)
    ? ' PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20), PARTITION p2 VALUES LESS THAN MAXVALUE)'
    : '';
  const keys = partitions === '' ? ', KEY kv (v)' : '';
  return [
    `CREATE TABLE ${name} (id INT PRIMARY KEY, v INT, w VARCHAR(20)${keys})${partitions}`,
    `INSERT INTO ${name} VALUES (1, 10, 'x'), (12, 20, 'y')`,
  ];
}
