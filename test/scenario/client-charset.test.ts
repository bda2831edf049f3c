/**
 * Names in clients' character sets: every character that Millrace decodes is the one that the server takes it for, in all
 * character sets of the server; and what it encodes, it decodes.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clientCharset } from '../../src/rules/client-charset.ts';
import { openRawSession, type RawSession } from '../support/raw-session.ts';
import { type Flavour, startServer, type TestServer } from '../support/test-server.ts';

/** Not a client's, or one that needs no table. */
const LEFT_OUT = /^(ucs2|utf16|utf16le|utf32|utf8.*|binary|ascii)$/;
const BATCH = 1000;
/** Read as ASCII only. */
const WITHOUT_TABLE = ['swe7'];

/** Every sequence of bytes that is one character by its form. */
function charactersOf(name: string): Buffer[] {
  const charset = clientCharset(name);
  const found: Buffer[] = [];
  const add = (...bytes: number[]): void => {
    const buf = Buffer.from(bytes);
    if (charset.charLength(buf, 0, buf.length) === buf.length) found.push(buf);
  };
  for (let first = 0x80; first <= 0xff; first++) {
    add(first);
    for (let second = 0x30; second <= 0xff; second++) {
      add(first, second);
      for (let third = 0xa1; first === 0x8f && third <= 0xff; third++) add(first, second, third);
      // Of gb18030's million, those of the basic plane.
      for (let third = 0x81; first <= 0x84 && second <= 0x39 && third <= 0xfe; third++) {
        for (let fourth = 0x30; fourth <= 0x39; fourth++) add(first, second, third, fourth);
      }
    }
  }
  return found;
}

describe.each<Flavour>(['mysql', 'mariadb'])('the character sets of %s', (flavour) => {
  let server: TestServer;
  let session: RawSession;

  beforeAll(async () => {
    server = await startServer({ flavour });
    session = await openRawSession(server);
    await session.sql('SET NAMES utf8mb4');
  });
  afterAll(async () => {
    session?.close();
    await server?.stop();
  });

  /** In Unicode; null: the server has no character there. */
  async function convert(name: string, characters: readonly Buffer[]): Promise<(string | null)[]> {
    const columns = characters.map(
      (bytes) => `HEX(CONVERT(_${name} x'${bytes.toString('hex')}' USING utf8mb4))`,
    );
    const reply = await session.pipe.query(`SELECT ${columns.join(',')}`);
    if (reply.ok) {
      return reply.rows[0]!.map((hex) => (hex === null ? null : Buffer.from(hex, 'hex').toString()));
    }
    // MySQL refuses the statement for one that is no character.
    if (characters.length === 1) return [null];
    const half = characters.length >> 1;
    return [
      ...(await convert(name, characters.slice(0, half))),
      ...(await convert(name, characters.slice(half))),
    ];
  }

  test('no character is read as another one', { timeout: 300_000 }, async () => {
    const names = await session.pipe.query(
      'SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS',
    );
    if (!names.ok) throw new Error(names.message);
    const wrong: string[] = [];
    const known: Record<string, number> = {};
    for (const name of names.rows.map(([first]) => first ?? '').filter((each) => !LEFT_OUT.test(each))) {
      const charset = clientCharset(name);
      const characters = charactersOf(name).filter(
        (bytes) => charset.decode(bytes, 0, bytes.length) !== null,
      );
      known[name] = characters.length;
      for (let i = 0; i < characters.length; i += BATCH) {
        const batch = characters.slice(i, i + BATCH);
        const theirs = await convert(name, batch);
        batch.forEach((bytes, j) => {
          const ours = charset.decode(bytes, 0, bytes.length)!;
          // The server has none for some that Node has: then no name has it either.
          const there = theirs[j] !== null && theirs[j] !== '?';
          if (there && theirs[j] !== ours)
            wrong.push(`${name} ${bytes.toString('hex')}: ${ours}, ${theirs[j]}`);
          const encoded = charset.encode(ours);
          if (encoded === null) return;
          const back = charset.decode(encoded, 0, encoded.length);
          if (back !== ours) wrong.push(`${name} ${bytes.toString('hex')}: ${ours} is written as ${back}`);
        });
      }
    }
    console.log(`${flavour}: characters known ${JSON.stringify(known)}`);
    expect(wrong).toEqual([]);
    for (const [name, count] of Object.entries(known)) {
      if (!WITHOUT_TABLE.includes(name)) expect(count, name).toBeGreaterThan(40);
    }
  });
});
