/**
 * Facts as a healthy pair of servers gives them, each changed where a test wants it.
 */
import { deepStrictEqual } from 'node:assert';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../../../src/config/load-config.ts';
import { AccountGrants } from '../../../src/preflight/account-grants.ts';
import type { ChannelFacts } from '../../../src/preflight/channel-facts.ts';
import type { Attempt } from '../../../src/preflight/probe-session.ts';
import type { ServerSurvey } from '../../../src/preflight/server-survey.ts';
import type { SourceSurvey } from '../../../src/preflight/source-survey.ts';
import type { TargetSurvey } from '../../../src/preflight/target-survey.ts';
import type { EndpointOptions } from '../../../src/wire/endpoint.ts';
import { temporaryFolder } from '../../support/repository.ts';

export const SOURCE_UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
export const TARGET_UUID = '8a94f357-aab4-11df-86ab-c80aa9429562';
export const NOW_MS = Date.parse('2026-06-01T12:00:00Z');

export const GRANTED: Attempt = { ok: true, rows: [] };
export const denied = (message = 'denied'): Attempt => ({ ok: false, errno: 1227, message });

const VARIABLES: readonly [string, string][] = [
  ['binlog_expire_logs_seconds', '2592000'],
  ['binlog_row_image', 'FULL'],
  ['collation_server', 'utf8mb4_0900_ai_ci'],
  ['character_set_server', 'utf8mb4'],
  ['gtid_mode', 'ON'],
  ['enforce_gtid_consistency', 'ON'],
  ['innodb_flush_log_at_trx_commit', '1'],
  ['log_bin', 'ON'],
  ['lower_case_table_names', '0'],
  ['max_allowed_packet', '67108864'],
  ['max_connections', '151'],
  ['sql_mode', 'STRICT_TRANS_TABLES'],
  ['sync_binlog', '1'],
  ['time_zone', 'SYSTEM'],
  ['datadir', '/var/lib/mysql/'],
  ['port', '3306'],
];

function server(on: 'source' | 'target', host: string, uuid: string, serverId: number): ServerSurvey {
  return {
    on,
    address: `${host}:3306`,
    peer: { host, port: 3306, user: on },
    flavour: 'mysql',
    version: '9.7.4',
    versionNumber: 90704,
    account: { user: on, host: '%' },
    tls: { protocol: 'TLSv1.3', certificateEndsMs: NOW_MS + 365 * 86_400_000 },
    variables: new Map([
      ...VARIABLES,
      ['hostname', host],
      ['server_id', String(serverId)],
      ['server_uuid', uuid],
    ]),
    serverUuid: uuid,
    serverId,
    clockDiffMs: 3,
    clockErrorMs: 1,
    knowsZones: true,
  };
}

export function sourceSurvey(change: Partial<SourceSurvey> = {}): SourceSurvey {
  return {
    ...server('source', 'db1', SOURCE_UUID, 1),
    facts: {
      flavour: 'mysql',
      serverVersion: '9.7.4',
      serverId: 1,
      serverUuid: SOURCE_UUID,
      kind: 'gtid',
      gtidMode: 'ON',
      logBin: true,
      binlogFormat: 'ROW',
      semiSync: false,
      time: null,
    },
    registration: GRANTED,
    replicas: [],
    executed: `${SOURCE_UUID}:1-100`,
    purged: '',
    binaryLogs: [{ name: 'binlog.000001', bytes: 1000 }],
    rate: null,
    binlogFilters: { doDb: '', ignoreDb: '' },
    nativeChannels: [],
    schemas: null,
    ...change,
  };
}

export function targetSurvey(change: Partial<TargetSurvey> = {}): TargetSurvey {
  return {
    ...server('target', 'db2', TARGET_UUID, 2),
    grants: AccountGrants.parse(['GRANT ALL PRIVILEGES ON *.* TO `target`@`%`']),
    executed: `${SOURCE_UUID}:1-90`,
    writable: GRANTED,
    rowEvents: GRANTED,
    gtidNext: GRANTED,
    gtidTag: GRANTED,
    sessionSettings: new Map(),
    progress: { tablesExist: false, write: GRANTED, rows: null },
    leaseHolder: null,
    nativeChannels: [],
    threadsConnected: 3,
    maxUserConnections: 0,
    schemas: null,
    ...change,
  };
}

export function withVariables<Survey extends ServerSurvey>(
  survey: Survey,
  change: Readonly<Record<string, string>>,
): Survey {
  return { ...survey, variables: new Map([...survey.variables, ...Object.entries(change)]) };
}

export function endpoint(host: string, mode: EndpointOptions['tls']['mode'] = 'preferred'): EndpointOptions {
  return { host, port: 3306, user: 'u', password: 'hunter2', tls: { mode }, connectTimeoutMs: 1000 };
}

export interface ChannelWish {
  readonly source?: SourceSurvey;
  readonly target?: TargetSurvey;
  readonly relay?: Partial<ChannelFacts['relay']>;
  /** Lines of YAML below the channel, the source and the target. */
  readonly yaml?: { readonly channel?: string; readonly source?: string; readonly target?: string };
}

export function channelFacts(wish: ChannelWish = {}): ChannelFacts {
  const folder = temporaryFolder('facts');
  const file = join(folder, 'config.yaml');
  const { channel = '', source = '', target = '' } = wish.yaml ?? {};
  const at = (host: string): string => `host: ${host}, user: u, password: hunter2`;
  writeFileSync(
    file,
    `data_dir: data\nchannels:\n  - name: shop\n    source: { ${at('db1')} ${source} }\n    targets: [{ name: standby, ${at('db2')} ${target} }]\n${channel}`,
  );
  const config = loadConfig(file, {}).channels[0]!;
  deepStrictEqual(config.targets.length, 1);
  return {
    config,
    sourceEndpoint: endpoint('db1'),
    source: { ok: true, is: wish.source ?? sourceSurvey() },
    targets: [
      {
        config: config.targets[0]!,
        endpoint: endpoint('db2'),
        survey: { ok: true, is: wish.target ?? targetSurvey() },
      },
    ],
    relay: { dir: folder, files: 0, bytes: 0, retrieved: null, error: null, ...wish.relay },
    replicaUuid: null,
    runningPid: null,
    thorough: true,
    nowMs: NOW_MS,
  };
}
