/**
 * A part of the filter corpus: some cases of every file, through a native replica and through Millrace. All of it runs as
 * `npm run filter-corpus`.
 */
import { describe, expect, test } from 'vitest';
import { type CorpusCase, readCorpus } from '../filter-corpus/corpus.ts';
import { runCorpus } from '../filter-corpus/corpus-run.ts';

/** Of each file the first case and every twelfth, with the target's own lower_case_table_names only. */
function some(cases: readonly CorpusCase[]): CorpusCase[] {
  const seen = new Map<string, number>();
  return cases.filter(({ group, lowerCaseTableNames }) => {
    const number = seen.get(group) ?? 0;
    seen.set(group, number + 1);
    return lowerCaseTableNames === 0 && number % 12 === 0;
  });
}

describe('the filter corpus', () => {
  test('is at least 150 cases of MySQL and 20 of MariaDB, and has every option and both lower_case_table_names', () => {
    const mysql = readCorpus('mysql');
    expect(mysql.length).toBeGreaterThanOrEqual(150);
    expect(readCorpus('mariadb').length).toBeGreaterThanOrEqual(20);
    const options = new Set(mysql.flatMap((each) => Object.keys(each.options)));
    expect([...options].sort()).toEqual([
      'replicate_do_db',
      'replicate_do_table',
      'replicate_ignore_db',
      'replicate_ignore_table',
      'replicate_rewrite_db',
      'replicate_wild_do_table',
      'replicate_wild_ignore_table',
    ]);
    expect(new Set(mysql.map((each) => each.lowerCaseTableNames))).toEqual(new Set([0, 1]));
    expect(new Set(mysql.map((each) => each.format))).toEqual(new Set(['ROW', 'STATEMENT', 'MIXED']));
  });

  test('some cases of MySQL: a native replica and Millrace come to the same', async () => {
    const result = await runCorpus('mysql', some(readCorpus('mysql')));
    expect(result.differing).toEqual([]);
    expect(result.cases).toBeGreaterThanOrEqual(20);
  }, 300_000);

  test('some cases of MariaDB: a native replica and Millrace come to the same', async () => {
    const result = await runCorpus('mariadb', some(readCorpus('mariadb')));
    expect(result.differing).toEqual([]);
  }, 300_000);
});
