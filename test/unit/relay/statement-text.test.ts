import { expect, test } from 'vitest';
import { statementText } from '../../../src/relay/statement-text.ts';

const shown = (sql: string, max = 200): string => {
  const buf = Buffer.from(`…${sql}…`, 'latin1');
  return statementText(buf, 1, buf.length - 1, max);
};

test.each([
  ["CREATE USER 'bob'@'%' IDENTIFIED BY 'hidden' REQUIRE SSL", "CREATE USER 'bob'@'%' IDENTIFIED BY '***' …"],
  [
    "ALTER USER bob IDENTIFIED WITH 'caching_sha2_password' AS '$A$hidden'",
    "ALTER USER bob IDENTIFIED WITH '***' …",
  ],
  ['CREATE USER bob IDENTIFIED WITH x AS 0x68696464656e', "CREATE USER bob IDENTIFIED WITH x AS '***' …"],
  ["CREATE USER bob IDENTIFIED WITH x AS X'6869'", "CREATE USER bob IDENTIFIED WITH x AS '***' …"],
  ["set password for bob = 'hidden'", "set password for bob = '***' …"],
  ['SET PASSWORD = PASSWORD("hidden")', "SET PASSWORD = PASSWORD('***' …"],
  [
    "CREATE USER bob IDENTIFIED VIA ed25519 USING PASSWORD('hidden')",
    "CREATE USER bob IDENTIFIED VIA ed25519 USING PASSWORD('***' …",
  ],
  [
    "CHANGE REPLICATION SOURCE TO SOURCE_HOST='h', SOURCE_PASSWORD='hidden'",
    "CHANGE REPLICATION SOURCE TO SOURCE_HOST='h', SOURCE_PASSWORD='***' …",
  ],
  [
    "CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (USER 'u', PASSWORD 'hidden')",
    "CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (USER 'u', PASSWORD '***' …",
  ],
  ["ALTER USER a IDENTIFIED BY 'x\\', b IDENTIFIED BY 'hidden'", "ALTER USER a IDENTIFIED BY '***' …"],
  [
    "INSERT INTO users (name, password) VALUES ('a', 'hidden')",
    "INSERT INTO users (name, password) VALUES ('***' …",
  ],
])('%s hides what it should', (sql, expected) => {
  expect(shown(sql)).toBe(expected);
  expect(shown(sql)).not.toContain('hidden');
});

test('a password does not show because the statement is cut, wherever it is cut', () => {
  const sql = `CREATE USER ${'x'.repeat(50)} IDENTIFIED BY 'hidden'`;
  for (let max = 1; max < 100; max++) expect(shown(sql, max)).not.toContain('h');
});

test('other statements are shown as they are, on one line, up to a length', () => {
  expect(shown("INSERT INTO t\n\tVALUES ('a')  ")).toBe("INSERT INTO t VALUES ('a')");
  expect(shown('SELECT 1234567890', 8)).toBe('SELECT 1…');
  expect(shown(`SELECT ${'1'.repeat(100_000)}`, 10)).toBe('SELECT 111…');
});

test('a terminal is told nothing', () => {
  expect(shown('DROP\x1b[2J TABLE\x07 t\x9b31m')).toBe('DROP [2J TABLE t�31m');
});
