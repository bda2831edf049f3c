/**
 * Every point at which the applier talks to the target, cut there: nothing lost, nothing doubled, and DDL decided rightly
 * or left to the operator.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { MillraceError } from '../../src/base/errors.ts';
import type { ApplierRig } from '../support/applier-rig.ts';
import { assertEqualServers } from '../support/equality.ts';
import { ReplayPair } from '../support/replay-pair.ts';
import { type Fault, SessionFaults } from '../support/session-faults.ts';

const POINTS_MAX = 40;
/** More than a life with one statement sends. */
const DDL_POINTS = 20;
/** The first thing a session sends are its settings. */
const FIRST_POINT = 2;

function rows(n: number): string[] {
  return [
    'USE crash',
    'BEGIN',
    `INSERT INTO t VALUES (${n}, 'one')`,
    `INSERT INTO keyless VALUES (${n}, 'a'), (${n}, 'a')`,
    `UPDATE counter SET n = n + 1`,
    'COMMIT',
    `INSERT INTO keyless VALUES (${n}, 'b')`,
    "SET SESSION binlog_format = 'STATEMENT'",
    `INSERT INTO keyless SELECT a, CONCAT(b, 'c') FROM keyless WHERE a = ${n}`,
    "SET SESSION binlog_format = 'ROW'",
    `XA START 'x${n}'`,
    `INSERT INTO keyless VALUES (${n}, 'xa')`,
    'UPDATE counter SET n = n + 100',
    `XA END 'x${n}'`,
    `XA PREPARE 'x${n}'`,
    `XA COMMIT 'x${n}'`,
  ];
}

/**
 * Statements that commit by themselves. Run twice, or not at all, each would leave a trace: an error, or another result.
 * `before`: what they need, applied without a fault.
 */
interface Ddl {
  readonly name: string;
  before?(n: number): string[];
  statements(n: number): string[];
}

const table = (n: number): string[] => [
  `CREATE TABLE crash.d${n} (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20))`,
  `INSERT INTO crash.d${n} (v) VALUES ('x'), ('y')`,
];

const DDL: readonly Ddl[] = [
  {
    // The statement before it leaves the session in a time zone in which CREATE_TIME reads differently.
    name: 'CREATE TABLE behind a time zone',
    statements: (n) => [
      "SET time_zone = '+05:30'",
      "SET SESSION binlog_format = 'STATEMENT'",
      `INSERT INTO crash.keyless VALUES (${n}, NOW())`,
      "SET SESSION binlog_format = 'ROW'",
      `CREATE TABLE crash.d${n} (id INT)`,
    ],
  },
  { name: 'CREATE TABLE', statements: (n) => [`CREATE TABLE crash.d${n} (id INT)`] },
  {
    name: 'ALTER TABLE',
    before: table,
    statements: (n) => [`ALTER TABLE crash.d${n} ADD COLUMN w INT DEFAULT 5`],
  },
  { name: 'DROP TABLE', before: table, statements: (n) => [`DROP TABLE crash.d${n}`] },
  {
    name: 'DROP TABLE of several',
    before: (n) => [`CREATE TABLE crash.d${n} (id INT)`, `CREATE TABLE crash.f${n} (id INT)`],
    statements: (n) => [`DROP TABLE crash.d${n}, crash.f${n}`],
  },
  { name: 'RENAME TABLE', before: table, statements: (n) => [`RENAME TABLE crash.d${n} TO crash.e${n}`] },
  {
    name: 'TRUNCATE TABLE',
    before: table,
    statements: (n) => [`TRUNCATE TABLE crash.d${n}`, `INSERT INTO crash.d${n} (v) VALUES ('z')`],
  },
  {
    name: 'CREATE TABLE … SELECT',
    before: table,
    statements: (n) => [
      `CREATE TABLE crash.c${n} AS SELECT * FROM crash.d${n}`,
      `UPDATE crash.c${n} SET id = id + 1`,
    ],
  },
  { name: 'CREATE VIEW', statements: (n) => [`CREATE VIEW crash.v${n} AS SELECT ${n} AS n`] },
  { name: 'CREATE USER', statements: (n) => [`CREATE USER crash_${n}`] },
  {
    name: 'GRANT',
    before: (n) => [`CREATE USER crash_${n}`],
    statements: (n) => [`GRANT SELECT ON crash.* TO crash_${n}`],
  },
  {
    name: 'DROP DATABASE',
    before: (n) => [`CREATE DATABASE db${n}`],
    statements: (n) => [`DROP DATABASE db${n}`],
  },
];

interface Outcome {
  /** Points that were cut. */
  readonly points: number;
  /** Statements that were left to the operator, by their first words. */
  readonly undecided: readonly string[];
}

/** What the operator finds on the target, and answers in millrace.intent. */
async function decideByHand(rig: ApplierRig, error: MillraceError): Promise<void> {
  const [, kind = ''] = /^'(.*) …'/.exec(error.message) ?? [];
  const id = String(error.facts.transaction);
  const names = (await rig.target.query('SELECT names FROM millrace.intent'))[0]!.names as string;
  const [, n = ''] = /"(?:d|crash_)(\d+)"/.exec(names) ?? [];
  const there =
    kind === 'RENAME TABLE'
      ? await rig.target.query(
          `SELECT 1 FROM information_schema.tables WHERE table_schema = 'crash' AND table_name = 'e${n}'`,
        )
      : await rig.target.query(`SELECT 1 FROM mysql.user WHERE User = 'crash_${n}'`);
  expect(id).not.toBe('');
  await rig.target.query('UPDATE millrace.intent SET verdict = ?', [there.length > 0 ? 'done' : 'run']);
}

async function cutEverywhere(
  pair: ReplayPair,
  rig: ApplierRig,
  faults: SessionFaults,
  fault: Fault,
  script: Omit<Ddl, 'name'>,
  numbers: { next: number },
): Promise<Outcome> {
  const undecided: string[] = [];
  const first = numbers.next;
  numbers.next += POINTS_MAX;
  faults.disarm();
  if (script.before !== undefined) {
    for (let n = first; n < first + DDL_POINTS; n++) await pair.run(script.before(n));
    await rig.catchUp();
  }
  for (let point = FIRST_POINT; point < POINTS_MAX; point++) {
    await pair.run(script.statements(first + point));
    await rig.feed();
    faults.arm(point, fault);
    for (;;) {
      try {
        await rig.persist();
        break;
      } catch (error) {
        if (!(error instanceof MillraceError) || error.code !== 'DDL_UNDECIDED') throw error;
        undecided.push(/^'(.*) …'/.exec(error.message)?.[1] ?? '');
        await decideByHand(rig, error);
      }
    }
    if (!faults.fired) return { points: point - FIRST_POINT, undecided };
  }
  throw new Error('there are more points than expected');
}

describe.each([
  { flavour: 'mysql', version: '9.7', progress: 'gtid', rowFaults: ['answered', 'killed'], ddl: /./ },
  { flavour: 'mysql', version: '9.7', progress: 'table', rowFaults: ['answered', 'unanswered'], ddl: /./ },
  {
    flavour: 'mariadb',
    version: '10.11',
    progress: 'table',
    rowFaults: ['answered'],
    ddl: /zone|ALTER|several|RENAME|SELECT|USER/,
  },
] as const)('an applier cut off at any point, $flavour $version with progress $progress', (options) => {
  let pair: ReplayPair;
  let rig: ApplierRig;
  let faults: SessionFaults;
  const numbers = { next: 0 };
  beforeAll(async () => {
    const { flavour, version, progress } = options;
    pair = await ReplayPair.start({
      flavour,
      version,
      progress: [progress],
      rig: { workers: 1, maxFileSize: 30_000 },
    });
    rig = pair.rigs[0]!;
    await pair.run([
      'CREATE DATABASE crash',
      'USE crash',
      'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))',
      'CREATE TABLE keyless (a INT, b VARCHAR(20))',
      'CREATE TABLE counter (n BIGINT)',
      'INSERT INTO counter VALUES (0)',
    ]);
    await rig.catchUp();
  });
  afterAll(() => pair.stop());
  beforeEach(() => {
    faults = new SessionFaults((id) => rig.target.query(`KILL ${id}`));
  });
  afterEach(() => faults.restore());

  const equal = (): Promise<unknown> =>
    assertEqualServers(pair.source, rig.target, { schemas: ['crash'], gtid: options.progress === 'gtid' });

  test.each(options.rowFaults)('rows, %s', async (fault) => {
    const { points } = await cutEverywhere(pair, rig, faults, fault, { statements: rows }, numbers);
    expect(points).toBeGreaterThan(10);
    await equal();
  });

  const chosen = DDL.filter(({ name }) => options.ddl.test(name));
  test.each(chosen)('$name', async (script) => {
    const { points, undecided } = await cutEverywhere(pair, rig, faults, 'answered', script, numbers);
    expect(points).toBeGreaterThan(2);
    await equal();
    const grants =
      "SELECT GRANTEE, TABLE_SCHEMA, PRIVILEGE_TYPE FROM information_schema.SCHEMA_PRIVILEGES WHERE GRANTEE LIKE '%crash%' ORDER BY 1";
    expect(await rig.target.query(grants)).toEqual(await pair.source.query(grants));
    if (options.progress === 'gtid') expect(undecided).toEqual([]);
    else for (const kind of undecided) expect(['RENAME TABLE', 'CREATE USER']).toContain(kind);
  });

  test('CREATE TABLE, cut while the server may be at it', async () => {
    const { points } = await cutEverywhere(pair, rig, faults, 'unanswered', DDL[0]!, numbers);
    expect(points).toBeGreaterThan(2);
    await equal();
  });
});
