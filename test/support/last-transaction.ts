/**
 * The name of the transaction that a source committed last, as Millrace spells it.
 */
import type { TestServer } from './test-server.ts';

/** For a server whose transactions are all its own, without tags, in one domain. */
export async function lastTransaction(source: TestServer): Promise<string> {
  if (source.flavour === 'mariadb') {
    const [row] = await source.query('SELECT @@gtid_binlog_pos AS position');
    return String(row?.position);
  }
  const [mode] = await source.query('SELECT @@gtid_mode AS mode, @@gtid_executed AS executed');
  if (mode?.mode !== 'OFF') {
    const [uuid, numbers = ''] = String(mode?.executed).split(':');
    return `${uuid}:${numbers.split('-').at(-1)}`;
  }
  const [end] = await source.query('SHOW BINARY LOG STATUS');
  return `${end?.File}:${end?.Position}`;
}
