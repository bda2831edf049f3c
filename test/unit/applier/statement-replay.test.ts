import { expect, test } from 'vitest';
import type { ReplayContext } from '../../../src/applier/replay-context.ts';
import { StatementReplay } from '../../../src/applier/statement-replay.ts';
import type { Transaction } from '../../../src/applier/transaction.ts';
import { EVENT_HEADER_LENGTH } from '../../../src/binlog/event-header.ts';
import { decodeQuery } from '../../../src/binlog/query-event.ts';
import type { ApplySession } from '../../../src/target/apply-session.ts';
import { buildQuery, describeFormat } from '../../support/binlog-builder.ts';

const VERSIONS = { mysql: 90704, mariadb: 101118 } as const;

function prepare(sql: string, flavour: 'mysql' | 'mariadb' = 'mysql') {
  const facts = { flavour, versionNumber: VERSIONS[flavour], maxAllowedPacket: 1 << 20 };
  const context = { facts, filter: null, collations: async () => new Map() } as unknown as ReplayContext;
  const replay = new StatementReplay(context, {} as ApplySession, {} as Transaction, {});
  const buf = buildQuery(sql);
  const query = decodeQuery(buf, EVENT_HEADER_LENGTH, buf.length, describeFormat(flavour));
  return replay.prepare({ buf, start: 0, end: buf.length } as never, query, true);
}

test.each([
  ['mysql', 'CREATE TEMPORARY TABLE t (a INT)'],
  ['mysql', '/* a */ create /* b */ temporary -- c\n table t (a INT)'],
  ['mysql', 'CREATE /*! TEMPORARY */ TABLE t (a INT)'],
  ['mysql', '/*!50000 CREATE TEMPORARY TABLE t (a INT) */'],
  ['mariadb', 'CREATE OR REPLACE TEMPORARY TABLE t (a INT)'],
  ['mariadb', 'SET STATEMENT max_statement_time=10 FOR CREATE TEMPORARY TABLE t (a INT)'],
] as const)('a temporary table of a session is refused (%s): %s', async (flavour, sql) => {
  await expect(prepare(sql, flavour)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
});

test.each([
  ['mysql', 'CREATE TABLE t (a INT)'],
  ['mysql', '/* a */ DROP TABLE t /* b */ CREATE TEMPORARY TABLE'],
  ['mysql', 'DROP /*!40005 TEMPORARY */ TABLE IF EXISTS t'],
  ['mysql', 'CREATE /*!999999 TEMPORARY */ TABLE t (a INT)'],
  ['mariadb', 'SET STATEMENT max_statement_time=10 FOR CREATE TABLE t (a INT)'],
] as const)('another statement is not (%s): %s', async (flavour, sql) => {
  expect((await prepare(sql, flavour))?.sql.toString()).toBe(sql);
});
