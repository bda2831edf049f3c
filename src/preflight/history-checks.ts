/**
 * Whether what the target still needs is on the source, and whether either has what the other has never had.
 *
 *   purged   deleted on the source, and neither executed on the target nor in the relay log       error
 *   behind   executed on the target, the source's own, and not on the source                      error
 *   errant   executed on the target under another name, and not on the source                     warning
 *
 * MySQL says all of it with sets. MariaDB tells only how far each domain has come. Where the relay log holds something, its
 * newest transactions are not counted here (reading them all would take its time): then a hole is only told as one when there
 * is no relay log, and otherwise left to the reader, which knows.
 */

import { MillraceError } from '../base/errors.ts';
import { GtidSet } from '../binlog/gtid-set.ts';
import {
  GtidPositionSet,
  MariadbPositionSet,
  type PositionKind,
  type PositionSet,
  parsePositionSet,
} from '../binlog/position-set.ts';
import { checkStart, readingKind } from '../reader/source-facts.ts';
import { gtidsOf, newestByDomain, shown } from '../reader/source-history.ts';
import { peerName } from '../wire/wire-error.ts';
import { type ChannelFacts, sourcePath, type TargetFactsOf } from './channel-facts.ts';
import type { Findings } from './finding.ts';
import { sqlRemedy, yamlRemedy } from './remedy.ts';
import type { SourceSurvey } from './source-survey.ts';

/** More empty transactions than these are not a thing to paste. */
const EMPTY_TRANSACTIONS_MAX = 50;

/** source.start and the relay log must count as the source does. */
export function checkStartKind(found: Findings, { config, relay }: ChannelFacts, source: SourceSurvey): void {
  try {
    checkStart(source.facts, config.source.start);
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    found.thrown('start', error, { remedy: yamlRemedy(sourcePath(config), 'start: auto') });
    return;
  }
  const { start } = config.source;
  const given = start.at === 'gtid_set' ? startSet(source.facts.kind, start.gtidSet) : null;
  if (given instanceof MillraceError) {
    found.thrown('start', given, { remedy: yamlRemedy(sourcePath(config), 'start: auto') });
    return;
  }
  try {
    readingKind(source.facts, relay.retrieved?.kind ?? null);
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    found.thrown('start', error);
    return;
  }
  found.ok('start', start.at === 'auto' ? 'where the targets stand' : start.at);
}

export function checkHistory(found: Findings, facts: TargetFactsOf): void {
  const { source, kind, channel } = facts;
  if (source === null || kind === null) return;
  if (kind === 'position') {
    checkOldestFile(found, facts, source);
    return;
  }
  const executed = executedOf(facts, kind);
  if (executed === null) {
    found.skipped('history', 'what the target has executed cannot be read');
    return;
  }
  const { start } = channel.config.source;
  if (start.at === 'gtid_set') {
    // A set of the other flavour is told by checkStartKind.
    const given = startSet(kind, start.gtidSet);
    if (given instanceof MillraceError) return;
    executed.addAll(given);
  }
  if (executed instanceof GtidPositionSet) checkGtids(found, facts, source, executed.gtids);
  else if (executed instanceof MariadbPositionSet) checkDomains(found, source, executed);
}

/** The error when it is a set of the other flavour. */
function startSet(kind: PositionKind, text: string): PositionSet | MillraceError {
  try {
    return parsePositionSet(kind, text);
  } catch (error) {
    if (error instanceof MillraceError) return error;
    throw error;
  }
}

/** Null: it cannot be read. */
function executedOf({ way, target }: TargetFactsOf, kind: 'gtid' | 'mariadb'): PositionSet | null {
  if (way === 'gtid') return parsePositionSet('gtid', target.executed);
  const { rows, tablesExist } = target.progress;
  if (rows === null && tablesExist) return null;
  const executed = parsePositionSet(kind, '');
  for (const row of rows ?? []) {
    if (row.kind === kind) executed.addAll(parsePositionSet(kind, row.executed));
  }
  return executed;
}

function checkGtids(found: Findings, facts: TargetFactsOf, source: SourceSurvey, ours: GtidSet): void {
  const { channel, target, way } = facts;
  const onSource = GtidSet.parse(source.executed);
  const name = peerName(source.peer);
  const surplus = gtidsOf(ours, source.serverUuid).subtract(onSource);
  if (!surplus.isEmpty()) {
    found.error(
      'history',
      'SOURCE_BEHIND',
      `we hold transactions of the source ${name} that it does not have itself: ${shown(surplus)}`,
      {
        advice:
          'It has lost its tail, was restored from a backup, or its binary logs were reset: the target must be made anew from it, or the source from the target.',
      },
    );
    return;
  }
  const held = ours.clone();
  if (channel.relay.retrieved instanceof GtidPositionSet) held.addAll(channel.relay.retrieved.gtids);
  const missing = GtidSet.parse(source.purged).subtract(held);
  if (missing.isEmpty()) {
    const behind = onSource.subtract(ours).count();
    found.ok('history', behind === 0n ? 'has everything' : `${behind} transactions to fetch, all there`);
  } else if (channel.relay.files > 0) {
    found.skipped('history', 'what the source has deleted may be in the relay log: the reader finds out');
  } else {
    found.error(
      'history',
      'SOURCE_PURGED',
      `the source ${name} has deleted binary logs with transactions that the target still needs: ${shown(missing)}`,
      {
        advice:
          'Take a new copy of the source for the target, or read from another server that has them. Only when the target does have their data:',
        remedy: yamlRemedy(
          sourcePath(channel.config),
          `start: { gtid_set: "${source.purged.replace(/\s/g, '')}" }`,
        ),
      },
    );
  }
  if (way === 'gtid') checkErrant(found, facts, source, GtidSet.parse(target.executed).subtract(onSource));
}

/** The target's own. With them no other server can take over from it, and nobody notices until then. */
function checkErrant(found: Findings, facts: TargetFactsOf, source: SourceSurvey, errant: GtidSet): void {
  const foreign = errant.subtract(gtidsOf(errant, source.serverUuid));
  if (foreign.isEmpty()) {
    found.ok('errant_gtids', 'none');
    return;
  }
  const count = foreign.count();
  const few = count <= BigInt(EMPTY_TRANSACTIONS_MAX);
  const own = gtidsOf(foreign, facts.target.serverUuid).isEmpty() ? '' : ', made on the target itself';
  found.warning(
    'errant_gtids',
    `${count} transactions on the target are unknown to the source${own}: ${shown(foreign)}`,
    {
      advice: few
        ? 'Find out with mysqlbinlog on the target what they changed. When source and target are equal all the same, give the source the same numbers, empty:'
        : 'Find out with mysqlbinlog on the target what they changed; then make it anew from the source.',
      remedy: few ? sqlRemedy(source, emptyTransactions(foreign)) : null,
    },
  );
}

function emptyTransactions(set: GtidSet): string[] {
  const statements: string[] = [];
  for (const { sid, first, last } of set.intervals()) {
    for (let gno = first; gno <= last; gno++)
      statements.push(`SET GTID_NEXT = '${sid}:${gno}'`, 'BEGIN', 'COMMIT');
  }
  return [...statements, "SET GTID_NEXT = 'AUTOMATIC'"];
}

function checkDomains(found: Findings, source: SourceSurvey, ours: MariadbPositionSet): void {
  const newest = newestByDomain(source.executed);
  for (const { domainId, serverId, seqNo } of ours.entries()) {
    const has = newest.get(domainId);
    if (has !== undefined && has >= seqNo) continue;
    const last = has === undefined ? 'nothing' : `${domainId}-…-${has}`;
    found.error(
      'history',
      'SOURCE_BEHIND',
      `we hold ${domainId}-${serverId}-${seqNo}, the source ${peerName(source.peer)} has ${last} of that domain`,
      {
        advice:
          'It has lost its tail, was restored from a backup, or its binary logs were reset: compare before doing anything.',
      },
    );
    return;
  }
  found.ok(
    'history',
    'the source has come as far in every domain; what it has deleted it tells when the dump begins',
  );
}

function checkOldestFile(found: Findings, { target, channel }: TargetFactsOf, source: SourceSurvey): void {
  const [row] = target.progress.rows ?? [];
  const oldest = source.binaryLogs?.[0]?.name;
  if (row !== undefined || channel.relay.files > 0 || channel.config.source.start.at !== 'auto') {
    found.ok('history', row === undefined ? 'begins where source.start says' : `stands at ${row.executed}`);
    return;
  }
  if (oldest === undefined) return;
  if (/\.0*1$/.test(oldest)) {
    found.ok('history', `an empty target begins with ${oldest}`);
    return;
  }
  found.error(
    'history',
    'SOURCE_PURGED',
    `the oldest binary log of ${peerName(source.peer)} is ${oldest}: what came before is gone, and nothing says where the target stands`,
    {
      advice:
        'Load the target from a snapshot and set source.start to the { file: …, position: … } of that snapshot. Only when the target holds everything up to there:',
      remedy: yamlRemedy(sourcePath(channel.config), `start: { file: ${oldest}, position: 4 }`),
    },
  );
}
