/**
 * What is asked of the source, in one connection (and a short second one for the pace of its binary logs).
 *
 * Besides reading, one thing is tried: to register as a replica, which needs what reading the binary log needs. The
 * registration ends with the connection (seen on 9.7.4 and 10.11.18).
 */
import { randomInt } from 'node:crypto';
import { systemClock } from '../base/runtime.ts';
import { type OtherReplica, readReplicas } from '../reader/replica-identity.ts';
import { readSourceFacts, type SourceFacts } from '../reader/source-facts.ts';
import { registerReplica } from '../wire/dump-commands.ts';
import type { EndpointOptions } from '../wire/endpoint.ts';
import { type BinaryLog, type BinlogRate, readBinlogRate } from './binlog-rate.ts';
import { type NativeChannel, readNativeChannels } from './native-channels.ts';
import { type Attempt, inProbeSession, type ProbeLimits, type ProbeSession } from './probe-session.ts';
import { type SchemaSurvey, surveySchemas } from './schema-survey.ts';
import { type ServerSurvey, surveyServer } from './server-survey.ts';

export interface SourceSurvey extends ServerSurvey {
  /** As the reader sees it. */
  readonly facts: SourceFacts;
  readonly registration: Attempt;
  /** Others that read from it; empty where the account may not ask. */
  readonly replicas: readonly OtherReplica[];
  /** MySQL: GTID sets. MariaDB: gtid_binlog_state, and nothing is known of what is purged. */
  readonly executed: string;
  readonly purged: string;
  /** Null: the account may not list them. */
  readonly binaryLogs: readonly BinaryLog[] | null;
  readonly rate: BinlogRate | null;
  /** Databases that it writes to its binary log, or leaves out of it. Null: the account may not ask. */
  readonly binlogFilters: BinlogFilters | null;
  /** What it receives itself. Null: the account may not ask. */
  readonly nativeChannels: readonly NativeChannel[] | null;
  /** Null: not looked at. */
  readonly schemas: SchemaSurvey | null;
}

export interface BinlogFilters {
  readonly doDb: string;
  readonly ignoreDb: string;
}

export interface SourceLook {
  readonly endpoint: EndpointOptions;
  readonly limits: ProbeLimits;
  /** Also what takes its time: schemas, the pace of the binary logs. */
  readonly thorough: boolean;
  readonly concerned: (schema: string) => boolean;
  readonly wallMs: () => number;
  readonly signal: AbortSignal | undefined;
}

/** The upper half, where hand-made numbers seldom are. */
const SERVER_ID_FIRST = 0x8000_0000;

export async function surveySource(look: SourceLook): Promise<SourceSurvey> {
  const { endpoint, limits, thorough, concerned, wallMs, signal } = look;
  const survey = await inProbeSession(endpoint, 'the source', limits, signal, async (session) => {
    const server = await surveyServer(session, 'source', wallMs);
    const facts = await readSourceFacts(session.connection, { ...systemClock, wallMs });
    return {
      ...server,
      facts,
      replicas: await readReplicas(session.connection, facts),
      registration: await session.command(
        registerReplica(SERVER_ID_FIRST + randomInt(0x7fff_fffe), 'millrace check'),
        'register as a replica',
      ),
      ...(await readHistory(session)),
      binaryLogs: await readBinaryLogs(session),
      rate: null,
      binlogFilters: await readBinlogFilters(session),
      nativeChannels: await readNativeChannels(session),
      schemas: thorough ? await surveySchemas(session, concerned) : null,
    };
  });
  if (!thorough || survey.binaryLogs === null || !survey.registration.ok) return survey;
  const nowMs = wallMs() + (survey.clockDiffMs ?? 0);
  return { ...survey, rate: await readBinlogRate(endpoint, survey.binaryLogs, nowMs, limits) };
}

async function readHistory(session: ProbeSession): Promise<Pick<SourceSurvey, 'executed' | 'purged'>> {
  if (session.flavour === 'mariadb') {
    return { executed: (await session.value('SELECT @@GLOBAL.gtid_binlog_state')) ?? '', purged: '' };
  }
  const [row] = (await session.rows('SELECT @@GLOBAL.gtid_executed AS e, @@GLOBAL.gtid_purged AS p')) ?? [];
  return { executed: row?.e ?? '', purged: row?.p ?? '' };
}

async function readBinaryLogs(session: ProbeSession): Promise<BinaryLog[] | null> {
  const rows = await session.rows('SHOW BINARY LOGS');
  return rows?.map((row) => ({ name: row.Log_name ?? '', bytes: Number(row.File_size ?? 0) })) ?? null;
}

/** SHOW MASTER STATUS is gone since 8.4. */
const BINARY_LOG_STATUS_SINCE = 80200;

async function readBinlogFilters(session: ProbeSession): Promise<BinlogFilters | null> {
  const renamed = session.flavour === 'mysql' && session.versionNumber >= BINARY_LOG_STATUS_SINCE;
  const rows = await session.rows(renamed ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS');
  if (rows === null) return null;
  return { doDb: rows[0]?.Binlog_Do_DB ?? '', ignoreDb: rows[0]?.Binlog_Ignore_DB ?? '' };
}
