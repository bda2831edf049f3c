/**
 * One Millrace per channel and target: a named lock (GET_LOCK) held by the control session.
 *
 * The lock refuses a second Millrace, also one on another host; it dies with its session. What an old session might
 * still write after it has lost the lock is fenced off elsewhere: by GTID ownership (progress gtid) or the epoch
 * (progress table).
 */
import { createHash } from 'node:crypto';
import { MillraceError } from '../base/errors.ts';
import type { WireConnection } from '../wire/connection.ts';

const WAIT_SECONDS = 3;

/** A lock's name has at most 64 characters. */
export function leaseName(channel: string): string {
  return `millrace:${createHash('sha256').update(channel).digest('hex').slice(0, 32)}`;
}

export async function takeLease(control: WireConnection, channel: string): Promise<void> {
  const name = leaseName(channel);
  const got = await control.query(
    `SELECT GET_LOCK('${name}', ${WAIT_SECONDS}) AS got`,
    'take the lock of this channel',
  );
  if (got[0]?.got === '1') return;
  const holder = await control.query(`SELECT IS_USED_LOCK('${name}') AS id`);
  const id = holder[0]?.id ?? 'unknown';
  const rows = await control
    .query(
      `SELECT USER AS user, HOST AS host FROM information_schema.PROCESSLIST WHERE ID=${Number(id) || 0}`,
    )
    .catch(() => []);
  const who = rows[0] ? `, ${rows[0].user}@${rows[0].host}` : '';
  throw new MillraceError(
    'FENCED',
    `another Millrace applies channel '${channel}' to this target (connection ${id}${who})`,
    {
      action: 'retry',
      hint: 'Stop the other one. If it is gone, its connection ends by itself, or with KILL on the target; this one then goes on.',
      facts: { channel },
    },
  );
}
