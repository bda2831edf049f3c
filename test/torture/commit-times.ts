/**
 * When each transaction was committed, as the server's own binary log has it: immediate_commit_timestamp by GTID, read by
 * mysqlbinlog. Between a source and a target that is the exact delay of every single transaction.
 */
import { mustRun } from '../support/program.ts';
import type { TestServer } from '../support/test-server.ts';

/** GTID → microseconds since the epoch by the server's clock, in the order of the binary log. */
export async function commitTimes(server: TestServer): Promise<Map<string, number>> {
  const [first] = await server.query('SHOW BINARY LOGS');
  const reader = server.binary('mysqlbinlog');
  const text = await mustRun(reader.command, [
    ...reader.args,
    '--no-defaults',
    '--read-from-remote-server',
    `--host=${server.host}`,
    `--port=${server.port}`,
    `--user=${server.rootUser}`,
    `--password=${server.rootPassword}`,
    '--base64-output=decode-rows',
    '--to-last-log',
    String(first?.Log_name),
  ]);
  const times = new Map<string, number>();
  let micros = Number.NaN;
  for (const line of text.split('\n')) {
    const time = /^# immediate_commit_timestamp=(\d+)/.exec(line);
    if (time !== null) micros = Number(time[1]);
    const gtid = /^SET @@SESSION\.GTID_NEXT= '([^']+:\d+)'/.exec(line);
    if (gtid !== null) times.set(gtid[1] as string, micros);
  }
  return times;
}
