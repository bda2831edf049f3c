/**
 * Whether the target is a server that can be applied to, and set so that what is applied is exact, lasting and alone.
 */
import { crewOf } from '../applier/worker-sessions.ts';
import { MillraceError } from '../base/errors.ts';
import { GtidSet } from '../binlog/gtid-set.ts';
import { versionAtLeast } from '../reader/source-facts.ts';
import { shown } from '../reader/source-history.ts';
import { chooseProgress, requireSameFlavour } from '../target/target-facts.ts';
import { gtidFacts, type TargetFactsOf, targetPath } from './channel-facts.ts';
import type { Findings } from './finding.ts';
import type { NativeChannel } from './native-channels.ts';
import { replicaMonitorPrivilege } from './privilege-names.ts';
import {
  lastingAdvice,
  optionFileRemedy,
  setRemedy,
  shellRemedy,
  shellWord,
  sqlRemedy,
  stringLiteral,
  yamlRemedy,
} from './remedy.ts';
import { flavourName, isOn } from './server-survey.ts';

/** MySQL logs the rows that foreign keys cascade to since this version. */
const SQL_FOREIGN_KEYS_SINCE = 90600;
/** The control session, and one for whoever looks. */
const SESSIONS_BESIDES_WORKERS = 2;

/** False: it is of another kind, and nothing else needs to be asked. */
export function checkTarget(found: Findings, facts: TargetFactsOf): boolean {
  if (!checkFlavour(found, facts)) return false;
  checkSameServer(found, facts);
  checkProgress(found, facts);
  checkNativeReplication(found, facts);
  checkLease(found, facts);
  checkConnections(found, facts);
  checkDurability(found, facts);
  return true;
}

function checkFlavour(found: Findings, { source, target, kind }: TargetFactsOf): boolean {
  if (kind === null) return true;
  try {
    requireSameFlavour(kind, source?.flavour ?? null, target);
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    found.thrown('flavour', error);
    return false;
  }
  if (source === null) return true;
  const [major = 0, minor = 0] = source.version.split('.').map((part) => Number.parseInt(part, 10));
  if (versionAtLeast(target.version, major, minor, 0)) {
    found.ok('version', 'not older than the source');
  } else {
    found.warning(
      'version',
      `${flavourName(target.flavour)} ${target.version} is older than the source (${source.version}): a statement, a collation or a column type that it does not know stops replication`,
      { advice: 'Upgrade the target first; replicate from the older to the newer server.' },
    );
  }
  if (source.flavour === 'mysql' && source.versionNumber >= SQL_FOREIGN_KEYS_SINCE) {
    const how =
      target.versionNumber >= SQL_FOREIGN_KEYS_SINCE
        ? 'applied as they are'
        : 'applied without the target cascading a second time';
    found.ok('foreign_keys', `the source logs cascaded rows; they are ${how}`);
  }
  return true;
}

/** A server that replicates into itself, or one that was copied from the other with its identity. */
function checkSameServer(found: Findings, { source, target, config, channel }: TargetFactsOf): void {
  if (source === null) return;
  const same = (name: string): boolean =>
    (source.variables.get(name) ?? '') !== '' && source.variables.get(name) === target.variables.get(name);
  const sameUuid = source.serverUuid !== null && source.serverUuid === target.serverUuid;
  if (['hostname', 'port', 'datadir', 'server_id'].every(same) && (sameUuid || source.serverUuid === null)) {
    found.error(
      'same_server',
      'CONFIG',
      `${target.address} is the source itself (${source.address}): a server cannot be its own target`,
      { advice: `Correct host and port of ${targetPath(channel.config, config)}.` },
    );
    return;
  }
  if (sameUuid) {
    found.warning(
      'same_server',
      `source and target have one server_uuid, ${target.serverUuid}: what is written on the target takes GTIDs of the source`,
      {
        remedy: shellRemedy(
          'target',
          target.address,
          `rm ${shellWord(`${target.variables.get('datadir')}auto.cnf`)}`,
        ),
        advice: 'Then restart the target, which makes a server_uuid of its own.',
      },
    );
  } else if (source.serverId === target.serverId) {
    const other = target.serverId + 1;
    found.warning('same_server', `source and target have one server_id, ${target.serverId}`, {
      remedy: setRemedy(target, ['server_id', String(other)]),
      advice: lastingAdvice(target),
    });
  } else {
    found.ok('same_server', 'another server than the source');
  }
}

function checkProgress(found: Findings, facts: TargetFactsOf): void {
  const { config, target, kind, way, channel } = facts;
  if (kind === null) return;
  if (way === null) {
    try {
      chooseProgress(config.progress, kind, gtidFacts(target));
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      // What the source lacks is told there.
      const remedy = kind === 'gtid' && target.flavour === 'mysql' ? gtidModeRemedy(facts) : null;
      found.thrown('progress', error, {
        remedy: remedy ?? yamlRemedy(targetPath(channel.config, config), 'progress: table'),
      });
    }
    return;
  }
  if (way === 'table' && config.progress === 'auto' && kind === 'gtid' && target.flavour === 'mysql') {
    const mode = target.variables.get('gtid_mode') ?? 'OFF';
    found.warning(
      'progress',
      `table, because the target has gtid_mode=${mode}: the source's GTIDs are not kept, and native replication cannot take over`,
      {
        remedy: gtidModeRemedy(facts),
        advice:
          'Only on a target that is then made anew from the source; or write progress: table, if it is meant so.',
      },
    );
    return;
  }
  const rows = target.progress.rows ?? [];
  const other = rows.find((row) => row.kind !== kind);
  if (way === 'table' && other !== undefined) {
    found.error(
      'progress',
      'TARGET_CONFIG',
      `the target keeps its progress as ${other.kind}, and the source now names its transactions as ${kind}`,
      {
        advice:
          'Go back to the source as it was, or delete the rows of this channel in millrace.progress and set source.start to where the target stands.',
      },
    );
    return;
  }
  if (way === 'gtid' && !checkLeftProgress(found, facts)) return;
  found.ok('progress', way === 'gtid' ? 'gtid: in gtid_executed' : 'table: in millrace.progress');
}

/**
 * A channel that kept its progress in the table and now would go by gtid_executed: what it has applied without its GTIDs would
 * be applied once more. False: so it is.
 */
function checkLeftProgress(found: Findings, { target, source, config, channel }: TargetFactsOf): boolean {
  const applied = new GtidSet();
  for (const { kind, executed } of target.progress.rows ?? []) {
    if (kind === 'gtid') applied.addAll(GtidSet.parse(executed));
  }
  const twice = applied
    .intersect(GtidSet.parse(source?.executed ?? ''))
    .subtract(GtidSet.parse(target.executed));
  if (twice.isEmpty()) return true;
  found.error(
    'progress',
    'TARGET_CONFIG',
    `millrace.progress says that the target has ${shown(twice)}, and its gtid_executed does not: with progress: gtid they would be applied again`,
    {
      remedy: yamlRemedy(targetPath(channel.config, config), 'progress: table'),
      advice:
        'Or, when the target was made anew since, delete the rows of this channel in millrace.progress.',
    },
  );
  return false;
}

function gtidModeRemedy({ target }: TargetFactsOf) {
  const mode = target.variables.get('gtid_mode') ?? 'OFF';
  const scope = target.versionNumber >= 80000 ? 'PERSIST' : 'GLOBAL';
  const consistent = isOn(target.variables.get('enforce_gtid_consistency'));
  const next = ['OFF_PERMISSIVE', 'ON_PERMISSIVE', 'ON'].slice(
    ['OFF', 'OFF_PERMISSIVE', 'ON_PERMISSIVE'].indexOf(mode),
  );
  return sqlRemedy(target, [
    ...(consistent ? [] : [`SET ${scope} enforce_gtid_consistency = ON`]),
    ...next.map((step) => `SET ${scope} gtid_mode = ${step}`),
  ]);
}

function checkNativeReplication(found: Findings, { source, target, way }: TargetFactsOf): void {
  const { nativeChannels } = target;
  if (nativeChannels === null) {
    const privilege = replicaMonitorPrivilege(target);
    found.skipped(
      'native_replication',
      `${privilege} is not granted: whether the target replicates by itself is not known`,
    );
    return;
  }
  const running = nativeChannels.filter(({ applies }) => applies);
  const fromSource = running.find((channel) => source !== null && comesFrom(channel, source));
  const first = fromSource ?? running[0];
  if (first === undefined) {
    found.ok('native_replication', 'not running');
    return;
  }
  const renamed = target.flavour === 'mysql' && target.versionNumber >= 80022;
  const named = first.name === '' ? '' : ` FOR CHANNEL ${stringLiteral(first.name)}`;
  const mending = {
    remedy: sqlRemedy(target, [
      target.flavour === 'mariadb'
        ? `STOP SLAVE${first.name === '' ? '' : ` ${stringLiteral(first.name)}`}`
        : `STOP ${renamed ? 'REPLICA' : 'SLAVE'}${named}`,
    ]),
    advice: `RESET ${renamed ? 'REPLICA' : 'SLAVE'} ALL keeps it from coming back with the next restart.`,
  };
  if (fromSource === undefined) {
    found.warning('native_replication', 'the target also replicates from another server by itself', mending);
  } else if (way === 'table') {
    found.error(
      'native_replication',
      'TARGET_CONFIG',
      'the target is a native replica of the same source, and progress in a table does not see what it applies: every transaction would be applied twice',
      mending,
    );
  } else {
    found.warning(
      'native_replication',
      'the target is a native replica of the same source: both apply, and wait for each other',
      mending,
    );
  }
}

function comesFrom(channel: NativeChannel, source: NonNullable<TargetFactsOf['source']>): boolean {
  if (channel.sourceUuid !== null && source.serverUuid !== null)
    return channel.sourceUuid === source.serverUuid;
  return channel.sourceServerId !== 0 && channel.sourceServerId === source.serverId;
}

function checkLease(found: Findings, { channel, target }: TargetFactsOf): void {
  const { leaseHolder } = target;
  if (leaseHolder === null) {
    found.ok('lease', 'nobody else applies to it');
    return;
  }
  if (channel.runningPid !== null) {
    found.ok('lease', `held by the Millrace that runs here, pid ${channel.runningPid}`);
    return;
  }
  const id = /^connection (\d+)/.exec(leaseHolder)?.[1] ?? '0';
  found.error(
    'lease',
    'FENCED',
    `another Millrace applies channel '${channel.config.name}' to this target (${leaseHolder})`,
    {
      advice: 'Stop the other one. Only if it is gone, and its connection is not:',
      remedy: sqlRemedy(target, [target.flavour === 'mysql' ? `KILL ${id}` : `KILL CONNECTION ${id}`]),
    },
  );
}

function checkConnections(found: Findings, { config, target, channel, kind }: TargetFactsOf): void {
  const { workers, sessionsEach } = crewOf(config, kind);
  // Each needs one; the others are had as long as there are some.
  const needed = workers + SESSIONS_BESIDES_WORKERS;
  const used = workers * sessionsEach + SESSIONS_BESIDES_WORKERS;
  const { maxUserConnections, threadsConnected, variables } = target;
  if (maxUserConnections > 0 && maxUserConnections < needed) {
    const fits = Math.max(1, maxUserConnections - SESSIONS_BESIDES_WORKERS);
    found.error(
      'connections',
      'CONNECTION_LOST',
      `the account may have ${maxUserConnections} connections, and ${workers} workers need ${needed}`,
      { remedy: yamlRemedy(targetPath(channel.config, config), `workers: ${fits}`) },
    );
    return;
  }
  const limit = Number(variables.get('max_connections') ?? 0);
  const free = limit - (threadsConnected ?? 0);
  // While Millrace runs here, its connections are among those that are taken.
  if (threadsConnected !== null && limit > 0 && channel.runningPid === null && free < used) {
    found.warning(
      'connections',
      `${free} of ${limit} connections are free; ${workers} workers need ${needed}, and use up to ${used} when they are behind`,
      {
        remedy: setRemedy(target, ['max_connections', String(limit + used)]),
        advice: lastingAdvice(target),
      },
    );
    return;
  }
  found.ok('connections', `room for ${workers} workers`);
}

/** What the target has acknowledged it should still have after a power cut. */
function checkDurability(found: Findings, { target }: TargetFactsOf): void {
  const { variables } = target;
  const logs = isOn(variables.get('log_bin'));
  const weak: [name: string, value: string][] = [];
  if ((variables.get('innodb_flush_log_at_trx_commit') ?? '1') !== '1') {
    weak.push(['innodb_flush_log_at_trx_commit', '1']);
  }
  if (logs && variables.get('sync_binlog') !== '1') weak.push(['sync_binlog', '1']);
  if (weak.length === 0) found.ok('durability', 'a commit is on disk when it is acknowledged');
  else {
    const now = weak.map(([name]) => `${name}=${variables.get(name)}`).join(', ');
    found.warning(
      'durability',
      `${now}: a power cut takes back what was acknowledged; Millrace notices, and sends it again`,
      {
        remedy: setRemedy(target, ...weak),
        advice: lastingAdvice(target),
      },
    );
  }
  if (logs) {
    found.ok('log_bin', 'writes a binary log');
    return;
  }
  found.warning('log_bin', 'the target writes no binary log: it cannot become a source', {
    remedy: optionFileRemedy(target, ['log_bin = binlog']),
  });
}
