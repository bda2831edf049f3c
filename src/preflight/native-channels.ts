/**
 * What a server replicates by itself, beside us.
 */
import type { Row } from '../wire/connection.ts';
import type { ProbeSession } from './probe-session.ts';

/** A replication channel of the server's own. */
export interface NativeChannel {
  readonly name: string;
  readonly sourceUuid: string | null;
  readonly sourceServerId: number;
  /** The SQL thread: it applies. */
  readonly applies: boolean;
}

/** Null: the account may not ask. */
export async function readNativeChannels(session: ProbeSession): Promise<NativeChannel[] | null> {
  const { flavour, versionNumber } = session;
  const renamed = flavour === 'mysql' && versionNumber >= 80022;
  const sql = renamed
    ? 'SHOW REPLICA STATUS'
    : flavour === 'mysql'
      ? 'SHOW SLAVE STATUS'
      : 'SHOW ALL SLAVES STATUS';
  const rows = await session.rows(sql);
  return rows?.map(nativeChannel) ?? null;
}

function nativeChannel(row: Row): NativeChannel {
  const column = (...names: string[]): string => {
    const found = Object.entries(row).find(([name]) => names.includes(name.toLowerCase()));
    return found?.[1] ?? '';
  };
  return {
    name: column('channel_name', 'connection_name'),
    sourceUuid: column('source_uuid', 'master_uuid').toLowerCase() || null,
    sourceServerId: Number(column('source_server_id', 'master_server_id')),
    applies: column('replica_sql_running', 'slave_sql_running') === 'Yes',
  };
}
