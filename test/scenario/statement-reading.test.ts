/**
 * The statement reader against real servers: every statement of test/fixtures/statements is read, run, and what changed is
 * compared with what was read; once more as the server logged it, and once more with its databases renamed.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readStatementCases, type StatementCase } from '../support/statement-corpus.ts';
import { StatementProof } from '../support/statement-proof.ts';
import type { Flavour } from '../support/test-server.ts';

const ROWS = new Set(['insert', 'update', 'delete', 'other']);

const FLAVOURS: readonly { readonly flavour: Flavour; readonly files: readonly string[] }[] = [
  {
    flavour: 'mysql',
    files: ['both.sql', 'mysql.sql', 'rows.sql', 'rows-mysql.sql', 'charsets.sql', 'charsets-mysql.sql'],
  },
  { flavour: 'mariadb', files: ['both.sql', 'mariadb.sql', 'rows.sql', 'rows-mariadb.sql', 'charsets.sql'] },
];

describe.concurrent.each(FLAVOURS)('statements read as $flavour reads them', ({ flavour, files }) => {
  const cases: StatementCase[] = files.flatMap(readStatementCases);
  let proof: StatementProof;

  beforeAll(async () => {
    proof = await StatementProof.start(flavour);
  });
  afterAll(() => proof?.stop());

  test('what changes is what was read, as written, as logged, and with other databases', {
    timeout: 600_000,
  }, async () => {
    const count: Record<string, number> = {};
    const add = (what: string, n = 1): void => {
      count[what] = (count[what] ?? 0) + n;
    };
    const wrong: string[] = [];
    const unplaced: string[] = [];
    const unknown: string[] = [];
    let ddl = 0;
    for (const each of cases) {
      const result = await proof.prove(each).catch((error: unknown) => {
        throw new Error(`${each.place}: ${each.statement}`, { cause: error });
      });
      const line = `${each.place}: ${each.statement}\n    ${result.notes.join('\n    ')}`;
      add(result.verdict);
      if (!ROWS.has(result.kind)) ddl += 1;
      add(`renamed: ${result.renamed}`);
      add('logged', result.logged);
      if (result.verdict === 'wrong') wrong.push(line);
      if (result.verdict === 'unplaced') unplaced.push(line);
      if (result.renamed === 'unknown') unknown.push(`${each.place}: ${each.statement}`);
    }
    const list = (title: string, lines: readonly string[]): string =>
      lines.length === 0 ? '' : `\n${title}\n  ${lines.join('\n  ')}`;
    console.log(
      `${flavour}: ${cases.length} statements, ${ddl} of them DDL: ${JSON.stringify(count)}${list('unplaced:', unplaced)}${list('databases not known:', unknown)}`,
    );
    expect(wrong.join('\n')).toBe('');
    expect(unplaced).toEqual([]);
    expect(ddl).toBeGreaterThan(300);
  });
});
