import { describe, expect, test } from 'vitest';
import type { QueryContext } from '../../../src/binlog/query-event.ts';
import { SessionContext, type StatementOrigin } from '../../../src/target/session-context.ts';

const BARE: QueryContext = {
  flags2: null,
  sqlMode: null,
  autoIncrement: null,
  charset: null,
  timeZone: null,
  lcTimeNames: null,
  charsetDatabase: null,
  explicitDefaultsForTimestamp: null,
  defaultCollationForUtf8mb4: null,
  sqlRequirePrimaryKey: null,
  defaultTableEncryption: null,
  enableCascadeTriggers: null,
  microseconds: null,
  mariadbHrnow: null,
  mariadbCollations: null,
  catalog: null,
  tableMapForUpdate: null,
  invoker: null,
  updatedDbNames: null,
  ddlXid: null,
  mariadbXid: null,
  mariadbAlter: null,
  unknownFrom: null,
};

function origin(context: Partial<QueryContext>): StatementOrigin {
  return {
    timestamp: 1,
    threadId: 7,
    database: 'd',
    suppressUse: false,
    context: { ...BARE, ...context },
    dml: true,
  };
}

const SJIS = { charset: { client: 13, connection: 13, server: 8 } };

describe('the character set of a session', () => {
  const begun = (): SessionContext =>
    new SessionContext({ flavour: 'mysql', versionNumber: 90704 }, new Map());
  const set = (context: SessionContext, of: Partial<QueryContext>): string =>
    context.setStatement(origin(of), new Map());

  test('is changed for rows once, and again after a statement that had its own', () => {
    const context = begun();
    expect(context.rowsStatement()).toBe('SET @@session.character_set_client=latin1');
    expect(context.rowsStatement()).toBeNull();
    expect(set(context, SJIS)).toContain('@@session.character_set_client=13');
    expect(context.rowsStatement()).toBe('SET @@session.character_set_client=latin1');
    expect(set(context, SJIS)).toContain('@@session.character_set_client=13');
  });

  test('is changed for rows when nothing is known any more', () => {
    const context = begun();
    context.rowsStatement();
    context.forget();
    expect(context.rowsStatement()).not.toBeNull();
  });

  test('is the server’s own for a statement that does not say its own, whatever came before', () => {
    const context = begun();
    const own = '@@session.character_set_client=DEFAULT';
    expect(set(context, {})).toContain(own);
    expect(set(context, {})).not.toContain('character_set_client');
    context.rowsStatement();
    expect(set(context, {})).toContain(own);
    set(context, SJIS);
    expect(set(context, {})).toContain(own);
  });
});
