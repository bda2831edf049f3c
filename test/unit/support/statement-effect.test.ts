/**
 * The oracle of the statement reader must be able to say no: each of these readings is wrong about what changed.
 */
import { describe, expect, test } from 'vitest';
import { readStatement } from '../../../src/rules/read-statement.ts';
import type { SeenObject, Snapshot } from '../../support/schema-snapshot.ts';
import { ClaimedEffect, unnamedUses } from '../../support/statement-effect.ts';
import { MYSQL } from '../rules/statement-words.ts';

const NOTHING = { quiet: false, follows: [] };

function seen(description: string, more: Partial<SeenObject> = {}): SeenObject {
  return { description, table: null, uses: [], ...more };
}

/** `before` and `after`: keys and descriptions. */
function wrongs(sql: string, before: Snapshot, after: Snapshot): string[] {
  const reading = readStatement(Buffer.from(sql), MYSQL);
  if (reading.is !== 'read') throw new Error(reading.why);
  const claimed = new ClaimedEffect(before);
  claimed.apply(reading, 'd');
  return [...claimed.compare(after, NOTHING), ...unnamedUses(reading, before, after, 'd')];
}

const T: Snapshot = new Map([['relation d.t', seen('x')]]);

describe('the oracle of the statement reader', () => {
  test('agrees with what was read and came true', () => {
    expect(wrongs('DROP TABLE t', T, new Map())).toEqual([]);
    expect(wrongs('RENAME TABLE t TO u', T, new Map([['relation d.u', seen('x')]]))).toEqual([]);
    expect(wrongs('ALTER TABLE t ADD x INT', T, new Map([['relation d.t', seen('y')]]))).toEqual([]);
    expect(wrongs('CREATE TABLE u (x INT)', T, new Map([...T, ['relation d.u', seen('z')]]))).toEqual([]);
  });

  test('sees what was read and did not come true', () => {
    expect(wrongs('DROP TABLE t', T, T)).toEqual(['relation d.t is new and was not claimed']);
    expect(wrongs('ALTER TABLE t ADD x INT', T, T)).toEqual([
      'relation d.t was claimed to change and did not',
    ]);
    expect(wrongs('CREATE TABLE u (x INT)', T, T)).toEqual(['relation d.u is gone and was not claimed']);
    expect(wrongs('DROP TABLE u', T, T)).toEqual(['relation d.u is dropped and was not there']);
    expect(wrongs('CREATE TABLE u LIKE v', T, new Map([...T, ['relation d.u', seen('z')]]))).toEqual([
      'relation d.v is read and was not there',
    ]);
  });

  test('sees what came true and was not read', () => {
    const changed: Snapshot = new Map([['relation d.t', seen('y')]]);
    expect(
      wrongs('CREATE DATABASE IF NOT EXISTS d', new Map([...T, ['database d', seen('')]]), changed),
    ).toEqual([
      expect.stringMatching(/^relation d.t changed and was not claimed/),
      'database d is gone and was not claimed',
    ]);
    expect(wrongs('RENAME TABLE t TO u', T, new Map([['relation d.u', seen('other')]]))).toEqual([
      expect.stringMatching(/^relation d.u changed and was not claimed/),
    ]);
  });

  test('sees a table that a view, a foreign key or a trigger uses and that was not named', () => {
    const view = seen('v', { uses: ['relation d.t'] });
    expect(wrongs('CREATE VIEW v AS SELECT 1', T, new Map([...T, ['relation d.v', view]]))).toEqual([
      'relation d.v uses relation d.t, which was not named',
    ]);
    const trigger = seen('g', { table: 'relation d.t' });
    const other: Snapshot = new Map([...T, ['relation d.u', seen('x')]]);
    expect(
      wrongs(
        'CREATE TRIGGER g BEFORE INSERT ON u FOR EACH ROW SET @x = 1',
        other,
        new Map([...other, ['trigger d.g', trigger]]),
      ),
    ).toEqual(['trigger d.g belongs to relation d.t, which was not named']);
  });
});
