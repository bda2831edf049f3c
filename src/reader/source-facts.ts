/**
 * What the source says about itself, and whether it can be replicated from. Reading is a few statements; judging is pure.
 *
 * The variables are read by SHOW GLOBAL VARIABLES, which leaves out what a version does not know (GTID sets, which it
 * would cut at 1024 bytes, are selected). Every refusal comes before the dump and names the statement that cures it.
 */
import { MillraceError } from '../base/errors.ts';
import type { Clock } from '../base/runtime.ts';
import type { PositionKind } from '../binlog/position-set.ts';
import type { ClockReading } from '../relay/source-clock.ts';
import type { Flavour, WireConnection } from '../wire/connection.ts';
import { type Peer, peerName } from '../wire/wire-error.ts';
import type { SourceStart } from './reader-messages.ts';
import { readSourceTime, useUtc } from './source-time.ts';

export interface SourceFacts {
  readonly flavour: Flavour;
  readonly serverVersion: string;
  readonly serverId: number;
  /** Null: MariaDB, and MySQL before 5.6. */
  readonly serverUuid: string | null;
  readonly kind: PositionKind;
  /** MySQL's gtid_mode; 'OFF' where there is no such variable. */
  readonly gtidMode: string;
  readonly logBin: boolean;
  /** Null: the version knows rows only. */
  readonly binlogFormat: string | null;
  readonly semiSync: boolean;
  /** Null: it does not tell its time. */
  readonly time: ClockReading | null;
}

const VARIABLES = [
  'server_id',
  'server_uuid',
  'gtid_mode',
  'log_bin',
  'binlog_format',
  'rpl_semi_sync_source_enabled',
  'rpl_semi_sync_master_enabled',
];

export async function readSourceFacts(connection: WireConnection, clock: Clock): Promise<SourceFacts> {
  await useUtc(connection);
  const { reading } = await readSourceTime(connection, clock);
  const names = VARIABLES.map((name) => `'${name}'`).join(', ');
  const rows = await connection.query(
    `SHOW GLOBAL VARIABLES WHERE Variable_name IN (${names})`,
    "read the source's configuration",
  );
  const variables = new Map(rows.map((row) => [row.Variable_name?.toLowerCase(), row.Value ?? '']));
  const gtidMode = (variables.get('gtid_mode') ?? 'OFF').toUpperCase();
  const { flavour, serverVersion } = connection;
  return {
    flavour,
    serverVersion,
    serverId: Number(variables.get('server_id') ?? 0),
    serverUuid: variables.get('server_uuid')?.toLowerCase() || null,
    kind: flavour === 'mariadb' ? 'mariadb' : gtidMode === 'ON' ? 'gtid' : 'position',
    gtidMode,
    logBin: isOn(variables.get('log_bin')),
    binlogFormat: variables.get('binlog_format')?.toUpperCase() ?? null,
    semiSync:
      isOn(variables.get('rpl_semi_sync_source_enabled')) ||
      isOn(variables.get('rpl_semi_sync_master_enabled')),
    time: reading,
  };
}

function isOn(value: string | undefined): boolean {
  return value === 'ON' || value === '1';
}

export interface SourceProblem {
  readonly about: 'log_bin' | 'server_id' | 'binlog_format' | 'server_uuid';
  readonly error: MillraceError;
}

/** What makes a source unusable, whatever is asked of it. `replicaUuid`: ours; null: not known. */
export function sourceProblems(facts: SourceFacts, peer: Peer, replicaUuid: string | null): SourceProblem[] {
  const source = peerName(peer);
  const problems: SourceProblem[] = [];
  const problem = (about: SourceProblem['about'], message: string, hint: string): void => {
    problems.push({ about, error: config(message, hint) });
  };
  if (!facts.logBin) {
    problem(
      'log_bin',
      `the source ${source} writes no binary log`,
      'Set log_bin in its configuration and restart it.',
    );
  }
  if (facts.serverId === 0) {
    problem(
      'server_id',
      `the source ${source} has server_id 0, which refuses replicas`,
      'Run SET GLOBAL server_id = <a number of its own>, and set it in its configuration.',
    );
  }
  if (facts.binlogFormat !== null && facts.binlogFormat !== 'ROW') {
    problem(
      'binlog_format',
      `the source ${source} has binlog_format=${facts.binlogFormat}, which cannot be applied exactly`,
      "Run SET GLOBAL binlog_format = 'ROW' on it (sessions that are open keep the old format), and set it in its configuration.",
    );
  }
  if (facts.serverUuid !== null && facts.serverUuid === replicaUuid?.toLowerCase()) {
    problem(
      'server_uuid',
      `the source ${source} has the server_uuid that we present as a replica, ${facts.serverUuid}`,
      'Remove the copied identity file from data_dir, or make the source a new auto.cnf.',
    );
  }
  return problems;
}

/** @throws SOURCE_CONFIG for the first of them. */
export function checkConfiguration(
  facts: SourceFacts,
  connection: WireConnection,
  replicaUuid: string,
): void {
  const [first] = sourceProblems(facts, connection.peer, replicaUuid);
  if (first !== undefined) throw first.error;
}

/** @throws CONFIG when source.start is of another kind than the source's own way of counting. */
export function checkStart(facts: SourceFacts, start: SourceStart): void {
  if (start.at === 'position' && facts.kind !== 'position') {
    const how =
      facts.kind === 'mariadb'
        ? `Use { gtid_set: … } with what SELECT BINLOG_GTID_POS('${start.file}', ${start.position}) gives on the source.`
        : 'Use auto, or { gtid_set: … }.';
    throw new MillraceError('CONFIG', 'source.start is a file and position, but the source has GTIDs', {
      hint: how,
    });
  }
  if (start.at === 'gtid_set' && facts.kind === 'position') {
    throw new MillraceError(
      'CONFIG',
      `source.start is a GTID set, but the source has gtid_mode=${facts.gtidMode}`,
      { hint: 'Use auto, or { file: …, position: … }; or set gtid_mode=ON on the source.' },
    );
  }
}

/**
 * The kind to read with: a relay log that counts by positions goes on doing so when the source gets GTIDs.
 * @throws SOURCE_CONFIG when the source no longer counts as the relay log does.
 */
export function readingKind(facts: SourceFacts, relayKind: PositionKind | null): PositionKind {
  if (relayKind === null || relayKind === facts.kind) return facts.kind;
  if (relayKind === 'position' && facts.flavour === 'mysql') return relayKind;
  const now = facts.flavour === 'mysql' ? `has gtid_mode=${facts.gtidMode}` : 'is MariaDB';
  throw config(
    `the relay log counts by ${relayKind === 'gtid' ? "MySQL's GTIDs" : relayKind}, but the source ${now}`,
    facts.flavour === 'mysql' && relayKind === 'gtid'
      ? 'Set gtid_mode=ON on the source.'
      : 'It is another server than before: give it a channel of its own.',
  );
}

function config(message: string, hint: string): MillraceError {
  return new MillraceError('SOURCE_CONFIG', message, { hint });
}

/** `[major, minor, patch]` of a version text; versions have no upper bound. */
export function versionAtLeast(version: string, major: number, minor: number, patch: number): boolean {
  const found = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(version);
  if (found === null) return false;
  const wanted = [major, minor, patch];
  for (const [i, part] of wanted.entries()) {
    const difference = Number(found[i + 1] ?? 0) - part;
    if (difference !== 0) return difference > 0;
  }
  return true;
}
