/**
 * What a client of the mixed load can do: each action is one transaction, or a few statements that commit by
 * themselves, and says how many marker rows and how many transactions it committed.
 */
import type { ActionResult, LoadClient } from './load-client.ts';
import { changeSchema } from './mixed-load-ddl.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { Flavour } from './server-provider.ts';

export type ActionName =
  | 'rows'
  | 'autocommit'
  | 'statement'
  | 'savepoint'
  | 'rollback'
  | 'ddl'
  | 'xa'
  | 'empty'
  | 'tagged'
  | 'compressed'
  | 'minimal';

interface Action {
  readonly weight: number;
  readonly flavours?: readonly Flavour[];
  run(client: LoadClient): Promise<ActionResult>;
}

const ONE: ActionResult = { markers: 1, committed: 1 };

/** The shared tables. Every name is used by the actions below. */
export function loadTables(schema: string): string[] {
  return [
    `CREATE DATABASE ${schema} CHARACTER SET utf8mb4`,
    `USE ${schema}`,
    `CREATE TABLE marker (client INT NOT NULL, seq BIGINT NOT NULL, what VARCHAR(40) NOT NULL,
       at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), KEY (client, seq))`,
    `CREATE TABLE item (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
       t TINYINT, s SMALLINT UNSIGNED, m MEDIUMINT, i INT UNSIGNED, b BIGINT,
       d DECIMAL(30,10), f FLOAT, g DOUBLE, bits BIT(17), y YEAR, da DATE, ti TIME(3), dt DATETIME(6),
       ts TIMESTAMP(2) NULL, c CHAR(12), v VARCHAR(300), l VARCHAR(60) CHARACTER SET latin1,
       bin BINARY(8), vb VARBINARY(200), e ENUM('red','green','blue'), st SET('a','b','c','d'),
       tx TEXT, bl MEDIUMBLOB, j JSON, doubled INT GENERATED ALWAYS AS (t * 2) STORED, KEY (i), KEY (v(20)))`,
    `CREATE TABLE keyless (a INT, b VARCHAR(80), c DATETIME(3))`,
    `CREATE TABLE parent (id INT NOT NULL PRIMARY KEY, name VARCHAR(40))`,
    `CREATE TABLE child (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, parent_id INT, note VARCHAR(60), KEY (parent_id),
       FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE)`,
    `CREATE TABLE grandchild (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, child_id INT, KEY (child_id),
       FOREIGN KEY (child_id) REFERENCES child (id) ON DELETE SET NULL)`,
    `CREATE TABLE document (id INT NOT NULL PRIMARY KEY, body JSON, picture LONGBLOB)`,
    `CREATE TABLE counter (id INT NOT NULL PRIMARY KEY, n BIGINT NOT NULL, code VARCHAR(30), UNIQUE KEY (code))`,
    `INSERT INTO counter SELECT seq, 0, CONCAT('code-', seq) FROM (${numbers(40)}) AS s`,
    `INSERT INTO parent SELECT seq, CONCAT('parent ', seq) FROM (${numbers(60)}) AS s`,
    `INSERT INTO document SELECT seq, JSON_OBJECT('n', seq, 'tags', JSON_ARRAY('x', 'y'), 'text', REPEAT('t', 200)), NULL
       FROM (${numbers(30)}) AS s`,
  ];
}

function numbers(count: number): string {
  return Array.from({ length: count }, (_, index) => `SELECT ${index + 1} AS seq`).join(' UNION ALL ');
}

function itemValues(random: SeededRandom): unknown[] {
  const sometimes = <T>(value: T): T | null => (random.chance(0.12) ? null : value);
  const day = `20${random.between(10, 37)}-${two(random, 12)}-${two(random, 28)}`;
  const clock = `${two(random, 23)}:${two(random, 59)}:${two(random, 59)}`;
  return [
    sometimes(random.between(-64, 63)),
    sometimes(random.between(0, 65535)),
    sometimes(random.between(-8388608, 8388607)),
    sometimes(random.between(0, 4294967295)),
    sometimes(
      `${random.pick(['-', ''])}${random.between(0, 9223372036)}${random.between(100000000, 854775807)}`,
    ),
    sometimes(`${random.pick(['-', ''])}${random.between(0, 1e15)}.${random.between(0, 999999)}`),
    sometimes(random.next() * 10 ** random.between(-20, 20)),
    sometimes((random.next() - 0.5) * 10 ** random.between(-200, 200)),
    sometimes(random.between(0, 131071)),
    sometimes(random.pick([1901, 1970, 2026, 2155])),
    sometimes(day),
    sometimes(
      `${random.pick(['-', ''])}${random.between(0, 838)}:${two(random, 58)}:${two(random, 58)}.${random.between(0, 999)}`,
    ),
    sometimes(`${day} ${clock}.${random.between(0, 999999)}`),
    sometimes(`${day} ${clock}.${random.between(0, 99)}`),
    sometimes(random.text(random.between(0, 10)).trimEnd()),
    sometimes(random.text(random.between(0, 120))),
    sometimes('grün élan'.slice(0, random.between(0, 9))),
    sometimes(random.bytes(random.between(0, 8))),
    sometimes(random.bytes(random.between(0, 60))),
    sometimes(random.pick(['red', 'green', 'blue'])),
    sometimes(random.pick(['', 'a', 'a,c', 'a,b,c,d'])),
    sometimes(random.text(random.between(0, 200))),
    sometimes(random.bytes(random.chance(0.04) ? random.between(10_000, 80_000) : random.between(0, 300))),
    sometimes(
      JSON.stringify({ n: random.between(0, 99), list: [1, 'zwei', null, 3.5], text: random.text(20) }),
    ),
  ];
}

function two(random: SeededRandom, high: number): string {
  return String(random.between(1, high)).padStart(2, '0');
}

const ITEM_COLUMNS = 't, s, m, i, b, d, f, g, bits, y, da, ti, dt, ts, c, v, l, bin, vb, e, st, tx, bl, j';

async function insertItems(client: LoadClient, count: number): Promise<void> {
  const rows = Array.from({ length: count }, () => itemValues(client.random));
  await client.sql(`INSERT INTO item (${ITEM_COLUMNS}) VALUES ?`, [rows]);
}

/** One or several changes of rows, of whatever kind. */
async function changeRows(client: LoadClient): Promise<void> {
  const { random } = client;
  switch (
    random.weighted({
      insert: 6,
      update: 5,
      delete: 3,
      keyless: 3,
      family: 3,
      document: 2,
      counter: 4,
      replace: 1,
    })
  ) {
    case 'insert':
      return insertItems(client, random.chance(0.2) ? random.between(5, 60) : 1);
    case 'update':
      return client.sql(
        'UPDATE item SET v = ?, i = i + 1, j = JSON_SET(j, "$.n", ?) WHERE id % 50 = ? ORDER BY id LIMIT 20',
        [random.text(30), random.between(0, 1000), random.between(0, 49)],
      );
    case 'delete':
      return client.sql('DELETE FROM item WHERE id % 97 = ? ORDER BY id LIMIT 8', [random.between(0, 96)]);
    case 'keyless': {
      const a = random.between(1, 30);
      if (random.chance(0.55)) {
        const row = [a, random.text(12), '2026-01-02 03:04:05.678'];
        return client.sql('INSERT INTO keyless VALUES ?', [random.chance(0.3) ? [row, row, row] : [row]]);
      }
      if (random.chance(0.5))
        return client.sql('UPDATE keyless SET b = ? WHERE a = ? LIMIT 3', [random.text(9), a]);
      return client.sql('DELETE FROM keyless WHERE a = ? LIMIT 2', [a]);
    }
    case 'family': {
      const parent = random.between(1, 80);
      switch (random.weighted({ child: 5, grandchild: 3, move: 2, delete: 1, again: 3 })) {
        case 'child':
          return client.sql('INSERT INTO child (parent_id, note) SELECT id, ? FROM parent WHERE id = ?', [
            random.text(20),
            parent,
          ]);
        case 'grandchild':
          return client.sql(
            'INSERT INTO grandchild (child_id) SELECT id FROM child WHERE parent_id = ? LIMIT 3',
            [parent],
          );
        case 'move':
          return client.sql('UPDATE parent SET id = id + 100000 * ? WHERE id = ?', [client.index, parent]);
        case 'delete':
          return client.sql('DELETE FROM parent WHERE id = ?', [parent]);
        case 'again':
          return client.sql('INSERT IGNORE INTO parent VALUES (?, ?)', [parent, random.text(10)]);
      }
      return;
    }
    case 'document':
      return client.sql(
        'UPDATE document SET body = JSON_SET(body, "$.n", ?, "$.more", ?), picture = ? WHERE id = ?',
        [
          random.between(0, 10 ** 9),
          random.text(15),
          random.chance(0.3) ? random.bytes(random.between(1000, 60_000)) : null,
          random.between(1, 30),
        ],
      );
    case 'counter':
      return client.sql('UPDATE counter SET n = n + ? WHERE id = ?', [
        random.between(1, 9),
        random.between(1, 40),
      ]);
    case 'replace': {
      const id = random.between(1, 40);
      return client.sql('REPLACE INTO counter VALUES (?, ?, ?)', [id, random.between(0, 99), `code-${id}`]);
    }
  }
}

async function transaction(
  client: LoadClient,
  what: string,
  work: () => Promise<void>,
): Promise<ActionResult> {
  await client.sql('BEGIN');
  await work();
  await client.mark(what);
  await client.sql('COMMIT');
  return ONE;
}

/** Runs `work` with session variables set, and puts them back (the connection is dropped if anything fails). */
async function withSession(
  client: LoadClient,
  variables: Readonly<Record<string, string>>,
  work: () => Promise<ActionResult>,
): Promise<ActionResult> {
  const names = Object.keys(variables);
  await client.sql(`SET ${names.map((name) => `SESSION ${name} = ${variables[name]}`).join(', ')}`);
  const result = await work();
  await client.sql(`SET ${names.map((name) => `SESSION ${name} = DEFAULT`).join(', ')}`);
  return result;
}

async function statementFormat(client: LoadClient): Promise<ActionResult> {
  const { random } = client;
  return withSession(client, { binlog_format: "'STATEMENT'" }, () =>
    transaction(client, 'statement', async () => {
      const name = random.text(6);
      await client.sql('SET @name = ?, @number = ?, @nothing = NULL, @real = 1.5e0, @exact = 2.75', [
        name,
        random.between(1, 1000),
      ]);
      await client.sql(
        'INSERT INTO child (parent_id, note) VALUES (NULL, CONCAT(@name, @number, COALESCE(@nothing, "-"), @exact))',
      );
      await client.sql('INSERT INTO grandchild (child_id) VALUES (LAST_INSERT_ID())');
      if (random.chance(0.5))
        await client.sql('UPDATE counter SET n = n + FLOOR(RAND() * 100) WHERE id = ?', [
          random.between(1, 40),
        ]);
      if (random.chance(0.3)) await client.sql('DELETE FROM item WHERE id = ?', [random.between(1, 2000)]);
      if (random.chance(0.3))
        await client.sql('INSERT INTO keyless VALUES (?, @name, NOW(3))', [random.between(1, 30)]);
      if (random.chance(0.1)) await client.sql('DELETE FROM parent WHERE id = ?', [random.between(1, 80)]);
    }),
  );
}

async function savepoints(client: LoadClient): Promise<ActionResult> {
  return transaction(client, 'savepoint', async () => {
    await changeRows(client);
    await client.sql('SAVEPOINT here');
    await changeRows(client);
    await client.sql(client.random.chance(0.7) ? 'ROLLBACK TO SAVEPOINT here' : 'RELEASE SAVEPOINT here');
    await changeRows(client);
  });
}

async function rolledBack(client: LoadClient): Promise<ActionResult> {
  await client.sql('BEGIN');
  await changeRows(client);
  await client.mark('never');
  await client.sql('ROLLBACK');
  return { markers: 0, committed: 0 };
}

async function xa(client: LoadClient): Promise<ActionResult> {
  const { random } = client;
  const id = `'${client.schema}-${client.index}-${client.next()}'`;
  await client.sql(`XA START ${id}`);
  await changeRows(client);
  await client.mark('xa');
  await client.sql(`XA END ${id}`);
  if (random.chance(0.2)) {
    await client.sql(`XA COMMIT ${id} ONE PHASE`);
    return ONE;
  }
  await client.sql(`XA PREPARE ${id}`);
  const kept = random.chance(0.75);
  await client.sql(`XA ${kept ? 'COMMIT' : 'ROLLBACK'} ${id}`);
  return { markers: kept ? 1 : 0, committed: 2 };
}

async function emptyTransaction(client: LoadClient): Promise<ActionResult> {
  const uuid = `00000000-0000-4000-8000-${String(client.index).padStart(12, '0')}`;
  await client.sql(`SET GTID_NEXT = '${uuid}:${client.nextGno()}'`);
  await client.sql('BEGIN');
  await client.sql('COMMIT');
  await client.sql("SET GTID_NEXT = 'AUTOMATIC'");
  return { markers: 0, committed: 1 };
}

async function tagged(client: LoadClient): Promise<ActionResult> {
  await client.sql(`SET GTID_NEXT = 'AUTOMATIC:tag_${client.index}'`);
  const result = await transaction(client, 'tagged', () => changeRows(client));
  await client.sql("SET GTID_NEXT = 'AUTOMATIC'");
  return result;
}

export const ACTIONS: Record<ActionName, Action> = {
  /** Several changes in one transaction. */
  rows: {
    weight: 50,
    run: (client) =>
      transaction(client, 'rows', async () => {
        for (let i = client.random.between(1, 4); i > 0; i--) await changeRows(client);
      }),
  },
  /** One statement that commits by itself. */
  autocommit: {
    weight: 15,
    run: async (client) => {
      await client.mark('autocommit');
      return ONE;
    },
  },
  statement: { weight: 6, run: statementFormat },
  savepoint: { weight: 4, run: savepoints },
  rollback: { weight: 4, run: rolledBack },
  ddl: { weight: 8, run: changeSchema },
  xa: { weight: 3, run: xa },
  empty: { weight: 2, flavours: ['mysql'], run: emptyTransaction },
  tagged: { weight: 0, flavours: ['mysql'], run: tagged },
  compressed: {
    weight: 5,
    flavours: ['mysql'],
    run: (client) =>
      withSession(client, { binlog_transaction_compression: 'ON' }, () =>
        transaction(client, 'compressed', async () => {
          for (let i = client.random.between(1, 4); i > 0; i--) await changeRows(client);
        }),
      ),
  },
  /** Row images with only what changed; JSON as differences. */
  minimal: {
    weight: 4,
    run: (client) =>
      withSession(
        client,
        {
          binlog_row_image: client.random.pick(["'MINIMAL'", "'NOBLOB'"]),
          ...(client.flavour === 'mysql' ? { binlog_row_value_options: "'PARTIAL_JSON'" } : {}),
        },
        () => transaction(client, 'minimal', () => changeRows(client)),
      ),
  },
};
