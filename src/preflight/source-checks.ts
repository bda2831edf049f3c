/**
 * Whether the source writes a binary log that can be read and applied, and lets us read it.
 */
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import type { ErrorCode } from '../base/errors.ts';
import { formatDuration } from '../config/units.ts';
import { sourceProblems } from '../reader/source-facts.ts';
import { peerName } from '../wire/wire-error.ts';
import { type ChannelFacts, sourcePath } from './channel-facts.ts';
import type { Findings, Mending } from './finding.ts';
import { binlogMonitorPrivilege, replicaMonitorPrivilege } from './privilege-names.ts';
import { isDenied } from './probe-session.ts';
import {
  grantRemedy,
  lastingAdvice,
  optionFileRemedy,
  setRemedy,
  shellRemedy,
  shellWord,
  sqlRemedy,
  yamlRemedy,
} from './remedy.ts';
import { isOn } from './server-survey.ts';
import type { SourceSurvey } from './source-survey.ts';

const DAY_SECONDS = 86_400;

export function checkSource(found: Findings, facts: ChannelFacts, source: SourceSurvey): void {
  checkBinaryLog(found, facts, source);
  checkLeftOut(found, source);
  checkRowImage(found, source);
  checkGtidMode(found, facts, source);
  checkRegistration(found, source);
  checkServerId(found, facts, source);
  checkIdentity(found, facts, source);
  checkExpiry(found, facts, source);
}

/** The settings without which the reader stops at once, with its own words. */
function checkBinaryLog(found: Findings, { replicaUuid }: ChannelFacts, source: SourceSurvey): void {
  const { facts, variables } = source;
  const problems = sourceProblems(facts, source.peer, replicaUuid);
  for (const { about, error } of problems) found.thrown(about, error, mendingOf(about, source));
  const wrong = new Set(problems.map(({ about }) => about));
  if (!wrong.has('log_bin')) {
    const compressed = isOn(variables.get('binlog_transaction_compression'))
      ? ', compressed transactions'
      : '';
    found.ok('log_bin', `writes a binary log${compressed}`);
  }
  if (!wrong.has('binlog_format')) found.ok('binlog_format', facts.binlogFormat ?? 'ROW');
}

function mendingOf(about: string, source: SourceSurvey): Mending {
  switch (about) {
    case 'log_bin':
      return { remedy: optionFileRemedy(source, ['log_bin = binlog']), advice: null };
    case 'server_id':
      return {
        remedy: setRemedy(source, ['server_id', String(freeServerId(source))]),
        advice: lastingAdvice(source),
      };
    case 'binlog_format':
      return {
        remedy: setRemedy(source, ['binlog_format', "'ROW'"]),
        advice: ['Sessions that are open keep the old format.', lastingAdvice(source)]
          .filter(Boolean)
          .join(' '),
      };
    default:
      return {
        remedy: shellRemedy(
          'source',
          source.address,
          `rm ${shellWord(`${source.variables.get('datadir')}auto.cnf`)}`,
        ),
        advice:
          'Then restart it. Or, when data_dir/identity was copied from another Millrace, remove that file.',
      };
  }
}

/** What the source executes and does not write down is never seen here, and nothing tells that it is missing. */
function checkLeftOut(found: Findings, source: SourceSurvey): void {
  const { facts, binlogFilters, nativeChannels, variables } = source;
  if (!facts.logBin) return;
  if (binlogFilters === null) {
    found.skipped(
      'binlog_filters',
      `${binlogMonitorPrivilege(source)} is not granted: whether the binary log has every database is not known`,
    );
  } else {
    const options = Object.entries({
      binlog_do_db: binlogFilters.doDb,
      binlog_ignore_db: binlogFilters.ignoreDb,
    })
      .filter(([, databases]) => databases !== '')
      .map(([option, databases]) => `${option}=${databases}`);
    if (options.length === 0) found.ok('binlog_filters', 'none: the binary log has every database');
    else {
      found.warning(
        'binlog_filters',
        `${options.join(' and ')}: the source leaves other changes out of its binary log, and no target gets them`,
        {
          advice:
            'Take binlog_do_db and binlog_ignore_db out of the option file of the source and restart it; leave out with filters of the target instead. What was left out until then is missing on the target: copy it.',
        },
      );
    }
  }

  const name = variables.has('log_replica_updates') ? 'log_replica_updates' : 'log_slave_updates';
  if (isOn(variables.get(name) ?? 'ON')) {
    found.ok(name, 'ON: the binary log has what the source receives as a replica');
  } else if (nativeChannels === null) {
    found.skipped(
      name,
      `OFF, and ${replicaMonitorPrivilege(source)} is not granted: whether the source is a replica itself is not known`,
    );
  } else if (nativeChannels.length === 0) {
    found.ok(name, 'OFF, and the source is no replica');
  } else {
    found.warning(
      name,
      `${name}=OFF, and the source is a replica itself: what it receives is not in its binary log, and no target gets it`,
      {
        remedy: optionFileRemedy(source, [`${name} = ON`]),
        advice: 'Then restart it. Or replicate from the server that it receives from.',
      },
    );
  }
}

function checkRowImage(found: Findings, source: SourceSurvey): void {
  const image = source.variables.get('binlog_row_image')?.toUpperCase();
  if (image === undefined || image === 'FULL' || image === 'FULL_NODUP') {
    found.ok('binlog_row_image', image ?? 'FULL');
  } else {
    found.warning(
      'binlog_row_image',
      `binlog_row_image=${image}: a row is only looked up by its key, so a target that differs is not noticed`,
      { remedy: setRemedy(source, ['binlog_row_image', "'FULL'"]), advice: lastingAdvice(source) },
    );
  }
  const metadata = source.variables.get('binlog_row_metadata');
  if (metadata !== undefined) found.ok('binlog_row_metadata', `${metadata}, which is enough for mode binlog`);
}

function checkGtidMode(found: Findings, { config }: ChannelFacts, source: SourceSurvey): void {
  if (source.flavour === 'mariadb') {
    found.ok('gtid_mode', 'MariaDB GTIDs');
    return;
  }
  const mode = source.facts.gtidMode;
  const consistency = source.variables.get('enforce_gtid_consistency') ?? 'OFF';
  if (mode === 'ON') {
    found.ok('gtid_mode', 'ON');
    return;
  }
  const needed = config.targets.filter(({ progress }) => progress === 'gtid').map(({ name }) => name);
  const remedy = sqlRemedy(
    source,
    [
      ...(isOn(consistency) ? [] : ['SET PERSIST enforce_gtid_consistency = ON']),
      ...['OFF_PERMISSIVE', 'ON_PERMISSIVE', 'ON']
        .slice(['OFF', 'OFF_PERMISSIVE', 'ON_PERMISSIVE'].indexOf(mode))
        .map((next) => `SET PERSIST gtid_mode = ${next}`),
    ].map((statement) =>
      source.versionNumber >= 80000 ? statement : statement.replace('PERSIST', 'GLOBAL'),
    ),
  );
  const advice = lastingAdvice(source);
  if (needed.length > 0) {
    found.error(
      'gtid_mode',
      'TARGET_CONFIG',
      `the source has gtid_mode=${mode}, and progress: gtid of ${needed.join(', ')} needs its GTIDs`,
      { remedy, advice: advice ?? 'Or use progress: table (or auto).' },
    );
  } else {
    found.warning(
      'gtid_mode',
      `gtid_mode=${mode}: replication goes by file and position, one transaction at a time, and no other source can take over`,
      { remedy, advice },
    );
  }
}

function checkRegistration(found: Findings, source: SourceSurvey): void {
  const { registration } = source;
  if (registration.ok) {
    found.ok('replication_privilege', 'may register as a replica and read the binary log');
  } else if (isDenied(registration)) {
    found.error(
      'replication_privilege',
      'PRIVILEGE_MISSING',
      `the account may not replicate from ${peerName(source.peer)}: ${registration.message}`,
      { remedy: grantRemedy(source, ['REPLICATION SLAVE']) },
    );
  } else if (source.facts.logBin && source.serverId !== 0) {
    found.warning('replication_privilege', `registering as a replica failed: ${registration.message}`);
  }
  const monitor = binlogMonitorPrivilege(source);
  if (source.binaryLogs !== null) {
    found.ok('monitor_privilege', 'may list the binary logs');
  } else if (source.facts.logBin) {
    const remedy = grantRemedy(source, [monitor]);
    if (source.facts.kind === 'position') {
      found.warning(
        'monitor_privilege',
        `${monitor} is needed to find the first binary log of an empty target`,
        {
          remedy,
        },
      );
    } else {
      found.skipped(
        'monitor_privilege',
        `${monitor} is not granted: how fast the source writes is not known`,
        {
          remedy,
        },
      );
    }
  }
}

function checkServerId(found: Findings, facts: ChannelFacts, source: SourceSurvey): void {
  const { config, replicaUuid } = facts;
  const configured = config.source.serverId;
  const path = sourcePath(config);
  const error = (code: ErrorCode, message: string): void => {
    const advice = 'Or leave it out: then one is derived, and steps aside for others.';
    found.error('server_id_clash', code, message, {
      remedy: yamlRemedy(path, `server_id: ${freeServerId(source)}`),
      advice,
    });
  };
  if (configured !== null && configured === source.serverId) {
    error('SOURCE_CONFIG', `the source ${peerName(source.peer)} itself has our server_id ${configured}`);
    return;
  }
  const others = source.replicas.filter(({ uuid }) => uuid === null || uuid !== replicaUuid?.toLowerCase());
  const same = others.find(({ serverId }) => serverId === configured);
  if (configured !== null && same !== undefined) {
    found.warning(
      'server_id_clash',
      `another replica of the source${same.host ? ` (${same.host})` : ''} has our server_id ${configured}, or had it a moment ago`,
      {
        remedy: yamlRemedy(path, `server_id: ${freeServerId(source)}`),
        advice: 'Or leave it out: then one is derived, and steps aside for others.',
      },
    );
    return;
  }
  found.ok(
    'server_id_clash',
    configured === null ? 'server_id is derived' : `server_id ${configured} is ours alone`,
  );
}

/**
 * A data_dir that was copied takes its identity along: the source ends the dump of the one when the other comes. An entry may be
 * our own of a moment ago, under the name that this machine had then: so it is only a warning, and not for a start.
 */
function checkIdentity(found: Findings, facts: ChannelFacts, source: SourceSurvey): void {
  const { replicaUuid, relay, thorough, runningPid } = facts;
  if (replicaUuid === null || !thorough || runningPid !== null) return;
  const twin = source.replicas.find(
    ({ uuid, host }) => uuid === replicaUuid.toLowerCase() && host !== hostname(),
  );
  if (twin === undefined) {
    found.ok('identity', 'nobody else presents our server_uuid');
    return;
  }
  found.warning(
    'identity',
    `a replica of the source (${twin.host ?? 'unknown host'}) presents our server_uuid, ${replicaUuid}`,
    {
      remedy: shellRemedy('host', '', `rm ${shellWord(join(dirname(relay.dir), 'identity'))}`),
      advice: 'If data_dir was copied from there, and that Millrace goes on running:',
    },
  );
}

/** Small, and nobody's as far as the source knows. */
export function freeServerId(source: SourceSurvey): number {
  const taken = new Set([source.serverId, ...source.replicas.map(({ serverId }) => serverId)]);
  let number = 4201;
  while (taken.has(number)) number += 1;
  return number;
}

/**
 * What the source must keep: a relay log that has to be fetched again begins where the targets stand, and a delayed target
 * stands far back.
 */
function checkExpiry(found: Findings, { config }: ChannelFacts, source: SourceSurvey): void {
  const seconds = expirySeconds(source.variables);
  if (seconds === null) {
    found.ok('binlog_expiry', 'binary logs are not deleted by age');
    return;
  }
  const delayMs = Math.max(0, ...config.targets.map(({ delayMs }) => delayMs));
  const { retentionMs } = config.relayLog;
  const kept = `the source keeps its binary logs for ${formatDuration(seconds * 1000)}`;
  const neededMs = Math.max(delayMs, retentionMs);
  if (seconds * 1000 > neededMs) {
    found.ok('binlog_expiry', kept);
    return;
  }
  const why =
    delayMs >= seconds * 1000
      ? `less than the delay of ${formatDuration(delayMs)}: a relay log that is lost could not be fetched again`
      : `less than relay_log.retention, ${formatDuration(retentionMs)}: after so long an outage, or a loss of data_dir, transactions are missing`;
  const wanted = Math.ceil(neededMs / 1000) + DAY_SECONDS;
  const remedy = setRemedy(source, ...expirySettings(source, wanted));
  found.warning('binlog_expiry', `${kept}, ${why}`, { remedy, advice: lastingAdvice(source) });
}

function expirySettings(
  { variables, flavour }: SourceSurvey,
  seconds: number,
): (readonly [string, string])[] {
  const days = String(Math.min(99, Math.ceil(seconds / DAY_SECONDS)));
  if (!variables.has('binlog_expire_logs_seconds')) return [['expire_logs_days', days]];
  // MySQL 8.0 has both, and refuses one while the other is set (3683); for MariaDB they are one.
  const byDays = flavour === 'mysql' && Number(variables.get('expire_logs_days') ?? 0) > 0;
  return [
    ...(byDays ? [['expire_logs_days', '0'] as const] : []),
    ['binlog_expire_logs_seconds', String(seconds)],
  ];
}

/** Null: they are kept for ever. */
function expirySeconds(variables: ReadonlyMap<string, string>): number | null {
  const purges = variables.get('binlog_expire_logs_auto_purge');
  if (purges !== undefined && !isOn(purges)) return null;
  const seconds = Number(variables.get('binlog_expire_logs_seconds') ?? 0);
  if (seconds > 0) return seconds;
  const days = Number(variables.get('expire_logs_days') ?? 0);
  return days > 0 ? days * DAY_SECONDS : null;
}
