import { test } from 'vitest';
import { NO_GUARDS } from '../../src/rules/guard-rules.ts';
import { ApplierRig } from '../support/applier-rig.ts';
import { startServer } from '../support/test-server.ts';

const GUARDS = {
  ...NO_GUARDS,
  guards: [
    { is: 'drop_table' },
    { is: 'truncate' },
    { is: 'delete_rows_over', rows: 1e9 },
    { is: 'alter', table: 'none.%' },
  ] as const,
};
test('cost', async () => {
  const source = await startServer({
    flavour: 'mysql',
    name: 'source',
    args: ['--sync-binlog=0', '--innodb-flush-log-at-trx-commit=0'],
  });
  const connection = await source.connect();
  await connection.query('CREATE DATABASE shop');
  await connection.query('CREATE TABLE shop.t (id INT PRIMARY KEY, c CHAR(120), pad CHAR(60))');
  for (let n = 0; n < 12000; n++)
    await connection.query(`INSERT INTO shop.t VALUES (${n}, REPEAT('a', 120), REPEAT('b', 60))`);
  for (let n = 0; n < 12000; n += 50)
    await connection.query(`DELETE FROM shop.t WHERE id BETWEEN ${n} AND ${n + 49}`);
  for (let round = 0; round < 3; round++) {
    for (const guards of round % 2 === 0 ? [NO_GUARDS, GUARDS] : [GUARDS, NO_GUARDS]) {
      const target = await startServer({
        flavour: 'mysql',
        name: 'target',
        args: ['--sync-binlog=0', '--innodb-flush-log-at-trx-commit=0'],
      });
      const rig = await ApplierRig.create(source, target, { progress: 'gtid', workers: 8 });
      await rig.feed();
      const cpu = process.cpuUsage();
      const t0 = performance.now();
      await rig.catchUp({ guards });
      const used = process.cpuUsage(cpu);
      console.log(
        guards.guards.length ? 'guards' : 'plain ',
        ((performance.now() - t0) / 1000).toFixed(2),
        's wall',
        ((used.user + used.system) / 1e6).toFixed(2),
        's cpu',
      );
      await rig.remove();
      await target.stop();
    }
  }
  await source.stop();
}, 900_000);
