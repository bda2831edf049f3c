/**
 * The ids by which events name the character set of a client, held against the servers' own tables.
 */
import { describe, expect, test } from 'vitest';
import { clientCharsetName } from '../../src/rules/statement-dialect.ts';
import { startServer } from '../support/test-server.ts';

describe.each([
  ['mysql', 'SELECT ID AS id, CHARACTER_SET_NAME AS charset FROM information_schema.COLLATIONS'],
  [
    'mariadb',
    'SELECT ID AS id, CHARACTER_SET_NAME AS charset FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY',
  ],
] as const)('on %s', (flavour, sql) => {
  test('every collation that a client can have names the character set that the server says', async () => {
    const server = await startServer({ flavour });
    try {
      const rows = await server.query(`${sql} WHERE ID IS NOT NULL`);
      expect(rows.length).toBeGreaterThan(200);
      // A client cannot send statements in UCS-2, UTF-16 or UTF-32.
      const ofClients = rows.filter(({ charset }) => !/^(ucs2|utf16|utf16le|utf32)$/.test(charset));
      const wrong = ofClients.filter(({ id, charset }) => {
        const name = charset.startsWith('utf8') ? 'utf8mb4' : charset;
        return clientCharsetName(Number(id)) !== name;
      });
      expect(wrong).toEqual([]);
    } finally {
      await server.stop();
    }
  });
});
