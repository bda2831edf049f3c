/**
 * A channel and target in the names that mysqld_exporter gives to SHOW REPLICA STATUS (mysql_slave_status_…): one series for
 * each target, told apart by `target` beside the exporter's own labels. As there, what would be NULL has no sample.
 */
import type { ChannelStatus, TargetStatus } from './status.ts';

/** One sample; null: not known, none. */
export type Say = (
  name: string,
  labels: Record<string, string>,
  value: number | boolean | null | undefined,
) => void;
type Value = (channel: ChannelStatus, target: TargetStatus) => number | boolean | null;

interface Definition {
  readonly help: string;
  readonly value: Value;
}

const P = 'mysql_slave_status_';

const METRICS: Readonly<Record<string, Definition>> = {
  [`${P}seconds_behind_master`]: {
    help: 'How far the target is behind its source. Absent: unknown.',
    value: (_, { lag_seconds: seconds }) => seconds,
  },
  [`${P}slave_io_running`]: {
    help: '1 while the source sends its binary log.',
    value: ({ reader }) => reader.state === 'streaming',
  },
  [`${P}slave_sql_running`]: {
    help: '1 while the target is connected and applied to.',
    value: (_, { state }) => state === 'running',
  },
  [`${P}read_master_log_pos`]: {
    help: "Position in the source's binary log up to which it is received.",
    value: ({ reader }) => (reader.source_file === null ? null : reader.source_position),
  },
  [`${P}relay_log_pos`]: {
    help: 'End of the relay log, in its last file.',
    value: ({ relay_log: { file, position } }) => (file === null ? null : position),
  },
  [`${P}relay_log_space`]: {
    help: 'Size of the relay log on disk, bytes.',
    value: ({ relay_log: { bytes } }) => bytes,
  },
  [`${P}sql_delay`]: {
    help: 'Seconds that the target is kept behind on purpose.',
    value: (_, { delay_seconds: seconds }) => seconds,
  },
  [`${P}last_io_errno`]: {
    help: '0: receiving works; 1: it does not, see millrace_last_error.',
    value: ({ reader }) => reader.state !== 'streaming' && reader.last_error !== null,
  },
  [`${P}last_sql_errno`]: {
    help: '0: applying works; 1: it does not, see millrace_last_error.',
    value: (_, { state, last_error: error }) => state !== 'running' && error !== null,
  },
};

export const exporterStatus = {
  labels: ['master_host', 'master_uuid', 'channel_name', 'connection_name', 'target'],
  metrics: METRICS,
  say(channel: ChannelStatus, say: Say): void {
    for (const target of channel.targets) {
      const labels = {
        master_host: channel.source.host,
        master_uuid: channel.source.server_uuid ?? '',
        channel_name: channel.name,
        connection_name: '',
        target: target.name,
      };
      for (const [name, { value }] of Object.entries(METRICS)) say(name, labels, value(channel, target));
    }
  },
} as const;
