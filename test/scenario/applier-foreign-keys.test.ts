import { afterAll, beforeAll, describe, test } from 'vitest';
import { ReplayPair } from '../support/replay-pair.ts';

/** Cascades of every kind, nested, to itself, and with foreign_key_checks off. */
function family(schema: string): string[] {
  return [
    `CREATE DATABASE ${schema}`,
    `USE ${schema}`,
    'CREATE TABLE parent (id INT PRIMARY KEY, v INT)',
    `CREATE TABLE child (id INT PRIMARY KEY, p INT, KEY (p),
       FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE)`,
    `CREATE TABLE orphan (id INT PRIMARY KEY, p INT, KEY (p),
       FOREIGN KEY (p) REFERENCES parent (id) ON DELETE SET NULL ON UPDATE SET NULL)`,
    `CREATE TABLE grandchild (id INT PRIMARY KEY, c INT, KEY (c),
       FOREIGN KEY (c) REFERENCES child (id) ON DELETE CASCADE ON UPDATE CASCADE)`,
    `CREATE TABLE tree (id INT PRIMARY KEY, up INT, v INT, KEY (up),
       FOREIGN KEY (up) REFERENCES tree (id) ON DELETE CASCADE)`,
    'INSERT INTO parent VALUES (1, 0), (2, 0), (3, 0), (4, 0), (5, 0)',
    'INSERT INTO child SELECT id * 10, id FROM parent',
    'INSERT INTO child SELECT id * 10 + 1, id FROM parent',
    'INSERT INTO orphan SELECT id, id FROM parent',
    'INSERT INTO grandchild SELECT id, id FROM child',
    'INSERT INTO tree VALUES (1, NULL, 1), (2, 1, 2), (3, 2, 3), (4, 3, 4), (5, NULL, 5), (6, 5, 6)',
    'DELETE FROM parent WHERE id = 1',
    'UPDATE parent SET id = 22 WHERE id = 2',
    'UPDATE parent SET v = 1',
    'UPDATE child SET id = 3000 WHERE id = 30',
    'DELETE FROM tree WHERE id = 2',
    'BEGIN',
    'UPDATE parent SET id = id + 100 WHERE id IN (3, 4)',
    'DELETE FROM parent WHERE id = 103',
    'INSERT INTO child VALUES (999, 104)',
    'COMMIT',
    'SET foreign_key_checks = 0',
    'DELETE FROM parent WHERE id = 104',
    'INSERT INTO child VALUES (777, 12345)',
    'UPDATE tree SET id = 55 WHERE id = 5',
    'SET foreign_key_checks = 1',
    'DELETE FROM parent WHERE id = 5',
    'UPDATE parent SET v = 2',
  ];
}

describe('foreign keys of a MySQL source that cascades in its SQL layer (9.6 and later)', () => {
  let pair: ReplayPair;
  beforeAll(async () => {
    pair = await ReplayPair.start({ flavour: 'mysql', version: '9.7', progress: ['gtid', 'table'] });
  });
  afterAll(() => pair.stop());

  test('the child rows that the source has logged are changed once', async () => {
    await pair.run(family('logged'));
    await pair.replay(['logged']);
  });

  test('rows without checks leave no session behind in which statements are unchecked', async () => {
    await pair.run([
      'CREATE DATABASE mixed',
      'USE mixed',
      'CREATE TABLE p (id INT PRIMARY KEY)',
      'CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE)',
      'INSERT INTO p VALUES (1), (2), (3)',
      'INSERT INTO c VALUES (1, 1), (2, 2), (3, 3)',
      "SET binlog_format = 'STATEMENT'",
      'DELETE FROM p WHERE id = 1',
      "SET binlog_format = 'ROW', foreign_key_checks = 0",
      'INSERT INTO c VALUES (9, 9)',
      "SET binlog_format = 'STATEMENT', foreign_key_checks = 1",
      'DELETE FROM p WHERE id = 2',
    ]);
    await pair.replay(['mixed']);
  });
});

describe('foreign keys of a MySQL source that leaves cascades to InnoDB (as before 9.6)', () => {
  let pair: ReplayPair;
  beforeAll(async () => {
    pair = await ReplayPair.start({
      flavour: 'mysql',
      version: '9.7',
      progress: ['gtid', 'table'],
      sourceArgs: ['--innodb-native-foreign-keys=ON'],
    });
  });
  afterAll(() => pair.stop());

  test('the target cascades by itself: the child rows are not in the binary log', async () => {
    await pair.run(family('native'));
    await pair.replay(['native']);
  });
});

describe('foreign keys of MySQL on a target that leaves cascades to InnoDB', () => {
  let pair: ReplayPair;
  beforeAll(async () => {
    pair = await ReplayPair.start({
      flavour: 'mysql',
      version: '9.7',
      progress: ['gtid'],
      targetArgs: ['--innodb-native-foreign-keys=ON'],
    });
  });
  afterAll(() => pair.stop());

  test('the child rows that the source has logged are changed once', async () => {
    await pair.run(family('logged'));
    await pair.replay(['logged']);
  });
});

describe('foreign keys of MariaDB', () => {
  let pair: ReplayPair;
  beforeAll(async () => {
    pair = await ReplayPair.start({ flavour: 'mariadb', version: '10.11', progress: ['table'] });
  });
  afterAll(() => pair.stop());

  test('the target cascades by itself', async () => {
    await pair.run(family('family'));
    await pair.replay(['family']);
  });
});
