/**
 * The server's own opinion on GTID sets: GTID_SUBTRACT, GTID_SUBSET, its printing, and the bytes of PREVIOUS_GTIDS.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EVENT_HEADER_LENGTH, EventType, readEventHeader } from '../../src/binlog/event-header.ts';
import { GtidSet } from '../../src/binlog/gtid-set.ts';
import { startServer, type TestServer } from '../support/test-server.ts';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const B = '2c256447-3f0d-431b-9a25-bddf1f1f6ef6';
const GNO_MAX = 2n ** 63n - 2n;
const PAIRS = 200;

const gno = fc.oneof(
  { weight: 8, arbitrary: fc.bigInt({ min: 1n, max: 40n }) },
  { weight: 1, arbitrary: fc.bigInt({ min: GNO_MAX - 9n, max: GNO_MAX }) },
);
const interval = fc
  .tuple(gno, fc.bigInt({ min: 0n, max: 6n }))
  .map(([first, more]) => `${first}-${first + more > GNO_MAX ? GNO_MAX : first + more}`);
const section = fc.tuple(
  fc.constantFrom('', ':blue', ':Blue_2', ':_', ':z9'),
  fc.array(interval, { minLength: 1, maxLength: 5 }),
);
const block = fc
  .tuple(fc.constantFrom(A, B, A.toUpperCase()), section, fc.array(section, { maxLength: 2 }))
  .map(([uuid, first, more]) => {
    const parts = [first, ...more.filter(([tag]) => tag !== '')];
    return uuid + parts.map(([tag, intervals]) => `${tag}:${intervals.join(':')}`).join('');
  });
const setText = fc.array(block, { maxLength: 4 }).map((blocks) => blocks.join(','));

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ flavour: 'mysql', version: '9.7', name: 'gtid-sets' });
}, 600_000);
afterAll(async () => {
  await server?.stop();
});

/** The server breaks lines after its commas. */
const oneLine = (text: unknown): string => String(text).replaceAll('\n', '');

describe('MySQL 9.7 and our GTID sets agree', () => {
  test('on subtraction, subsets and the printed form', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(setText, setText), { minLength: PAIRS, maxLength: PAIRS }),
        async (pairs) => {
          const selects = pairs.map(
            ([a, b]) =>
              `SELECT GTID_SUBTRACT('${a}','') printed, GTID_SUBTRACT('${a}','${b}') lessened, GTID_SUBSET('${a}','${b}') inside`,
          );
          const rows = await server.query(selects.join(' UNION ALL '));
          expect(rows.length).toBe(PAIRS);
          for (const [i, [left, right]] of pairs.entries()) {
            const [a, b] = [GtidSet.parse(left), GtidSet.parse(right)];
            expect(a.toString()).toBe(oneLine(rows[i]!.printed));
            expect(a.subtract(b).toString()).toBe(oneLine(rows[i]!.lessened));
            expect(b.containsAll(a)).toBe(rows[i]!.inside === 1);
          }
        },
      ),
      { numRuns: 15 },
    );
  });

  test.each([
    `${A}`,
    `${A}:`,
    `${A}:0`,
    `${A}:${GNO_MAX + 1n}`,
    `${A}:tag`,
    `${A}:1tag:1`,
    `${A}:${'t'.repeat(33)}:1`,
    'x:1',
  ])('on refusing "%s"', async (text) => {
    expect(() => GtidSet.parse(text)).toThrow();
    // "uuid" alone and "uuid:tag" are the empty set to the server, and a typing error to whoever configures a start.
    const accepted = await server.query(`SELECT GTID_SUBTRACT('${text}','') printed`).catch(() => null);
    if (accepted !== null) expect(accepted[0]!.printed).toBe('');
  });

  test.each([
    ['without tags', `${B}:1-5:8,${A}:1-3:7-9:11`],
    ['with tags', `${B}:1-5:8:blue:2-3,${A}:1-3:_:7-9:z9:9223372036854775806`],
  ])('on the bytes of a PREVIOUS_GTIDS_LOG_EVENT %s', async (_what, text) => {
    await server.query('RESET BINARY LOGS AND GTIDS');
    await commitEmpty(GtidSet.parse(text));
    await server.query('FLUSH BINARY LOGS');
    const logs = await server.query('SHOW BINARY LOGS');
    const body = previousGtids(readFileSync(join(server.datadir, logs.at(-1)!.Log_name)));
    const set = GtidSet.decode(body, 0, body.length);
    expect(set.toString()).toBe(text);
    expect(set.encode().toString('hex')).toBe(body.toString('hex'));
  });
});

/** gtid_purged would be in no PREVIOUS_GTIDS_LOG_EVENT: the transactions must be in the binary log. */
async function commitEmpty(set: GtidSet): Promise<void> {
  const connection = await server.connect();
  for (const { sid, first, last } of set.intervals()) {
    for (let gno = first; gno <= last; gno++) {
      await connection.query(`SET GTID_NEXT='${sid}:${gno}'; BEGIN; COMMIT`);
    }
  }
  await connection.end();
}

/** The body of the file's PREVIOUS_GTIDS_LOG_EVENT, without its CRC. */
function previousGtids(file: Buffer): Buffer {
  for (let at = 4; at < file.length; ) {
    const header = readEventHeader(file, at);
    if (header.type === EventType.PREVIOUS_GTIDS_LOG_EVENT) {
      return file.subarray(at + EVENT_HEADER_LENGTH, at + header.eventLength - 4);
    }
    at += header.eventLength;
  }
  throw new Error('the file has no PREVIOUS_GTIDS_LOG_EVENT');
}
