/**
 * The statements of the mixed load that define things: tables, views, triggers, routines, events, databases.
 */
import type { ActionResult, LoadClient } from './load-client.ts';

/** DDL on tables of this client alone, so that clients do not take each other's tables away. */
export async function changeSchema(client: LoadClient): Promise<ActionResult> {
  const { random, playground } = client;
  const fresh = `play_${client.index}_${client.next()}`;
  const one = (): string => random.pick(playground);
  const kinds: Record<string, number> = {
    create: 4,
    select: 2,
    like: 1,
    view: 2,
    routine: 2,
    database: 1,
    event: 1,
  };
  const more: Record<string, number> = {
    alter: 5,
    index: 2,
    rename: 2,
    truncate: 2,
    drop: 2,
    trigger: 2,
    comment: 1,
  };
  const kind = random.weighted(
    playground.length === 0 ? kinds : playground.length > 6 ? { ...more, drop: 8 } : { ...kinds, ...more },
  );
  const done = (committed: number, markers = 0): ActionResult => ({ markers, committed });
  switch (kind) {
    case 'create':
      await client.sql(`CREATE TABLE ${fresh} (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, a VARCHAR(50) DEFAULT 'x', b INT)
        ${random.pick(['', 'CHARACTER SET latin1', 'ROW_FORMAT=COMPRESSED', "COMMENT='naïve'"])}`);
      playground.push(fresh);
      await client.sql(`INSERT INTO ${fresh} (a, b) VALUES ('eins', 1), ('zwei', 2)`);
      return done(2);
    case 'select':
      await client.sql(`CREATE TABLE ${fresh} (PRIMARY KEY (id)) SELECT id, n, code FROM counter`);
      playground.push(fresh);
      return done(1);
    case 'like':
      await client.sql(`CREATE TABLE ${fresh} LIKE item`);
      playground.push(fresh);
      return done(1);
    case 'alter':
      await client.sql(
        `ALTER TABLE ${one()} ADD COLUMN c${client.next()} ${random.pick(['INT DEFAULT 5', 'VARCHAR(20)', 'DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3)'])} ${random.pick(['FIRST', ''])}`,
      );
      return done(1);
    case 'index':
      await client.sql(`CREATE INDEX k${client.next()} ON ${one()} (id)`);
      return done(1);
    case 'comment':
      await client.sql(`ALTER TABLE ${one()} COMMENT = ?`, [random.text(20)]);
      return done(1);
    case 'rename': {
      const at = random.between(0, playground.length - 1);
      await client.sql(`RENAME TABLE ${playground[at]} TO ${fresh}`);
      playground[at] = fresh;
      return done(1);
    }
    case 'truncate':
      await client.sql(`TRUNCATE TABLE ${one()}`);
      return done(1);
    case 'drop': {
      const [gone] = playground.splice(random.between(0, playground.length - 1), 1);
      await client.sql(`DROP TABLE ${random.pick(['', 'IF EXISTS '])}${gone}`);
      return done(1);
    }
    case 'view':
      await client.sql(
        `CREATE OR REPLACE VIEW view_${client.index} AS SELECT id, n + ${client.next()} AS more FROM counter`,
      );
      return done(1);
    case 'trigger': {
      const table = one();
      await client.sql(`CREATE TRIGGER tr_${client.next()} AFTER INSERT ON ${table} FOR EACH ROW
        INSERT INTO marker (client, seq, what) VALUES (${client.index}, 0, 'trigger')`);
      await client.sql(
        `INSERT IGNORE INTO ${table} (id) SELECT COALESCE(MAX(id), 0) + 1 FROM counter WHERE NOT EXISTS (SELECT 1 FROM ${table})`,
      );
      return done(2);
    }
    case 'routine': {
      const name = `pr_${client.index}`;
      await client.sql(`DROP PROCEDURE IF EXISTS ${name}`);
      await client.sql(`CREATE PROCEDURE ${name} (IN x BIGINT) BEGIN
        INSERT INTO marker (client, seq, what) VALUES (${client.index}, x, 'procedure');
        UPDATE counter SET n = n + 1 WHERE id = x % 40 + 1; END`);
      await client.sql('BEGIN');
      await client.sql(`CALL ${name}(?)`, [client.next()]);
      await client.sql('COMMIT');
      return done(3, 1);
    }
    case 'database': {
      const name = `${client.schema}_side_${client.index}`;
      await client.sql(
        `CREATE DATABASE IF NOT EXISTS ${name} CHARACTER SET ${random.pick(['latin1', 'utf8mb4'])}`,
      );
      await client.sql(`CREATE TABLE IF NOT EXISTS ${name}.t (id INT PRIMARY KEY)`);
      if (random.chance(0.5)) await client.sql(`DROP DATABASE ${name}`);
      return done(3);
    }
    case 'event':
      await client.sql(
        `CREATE EVENT IF NOT EXISTS ev_${client.index} ON SCHEDULE EVERY 1 YEAR DISABLE DO SET @nothing = 1`,
      );
      if (random.chance(0.5)) await client.sql(`DROP EVENT ev_${client.index}`);
      return done(2);
  }
  return done(0);
}
