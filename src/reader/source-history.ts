/**
 * Whether the source can still give what we need, and has all that we have: asked before the dump, so that the answer
 * names the transactions in question instead of an error number.
 *
 * MySQL says both with two sets. MariaDB tells only how far each domain has come; what it has deleted it says when the
 * dump begins. By positions nothing can be asked in advance.
 */
import { MillraceError } from '../base/errors.ts';
import { GtidSet } from '../binlog/gtid-set.ts';
import {
  FilePositionSet,
  GtidPositionSet,
  MariadbPositionSet,
  type PositionSet,
} from '../binlog/position-set.ts';
import type { WireConnection } from '../wire/connection.ts';
import { peerName } from '../wire/wire-error.ts';
import type { SourceFacts } from './source-facts.ts';

/** Sets may hold thousands of intervals; a message shows the beginning. */
const SHOWN_LENGTH_MAX = 400;

/** @throws SOURCE_PURGED, SOURCE_BEHIND. */
export async function checkHistory(
  connection: WireConnection,
  facts: SourceFacts,
  wanted: PositionSet,
): Promise<void> {
  if (wanted instanceof GtidPositionSet) await checkGtids(connection, facts, wanted.gtids);
  else if (wanted instanceof MariadbPositionSet) await checkDomains(connection, wanted);
}

async function checkGtids(connection: WireConnection, facts: SourceFacts, ours: GtidSet): Promise<void> {
  const [row] = await connection.query(
    'SELECT @@GLOBAL.gtid_purged AS purged, @@GLOBAL.gtid_executed AS executed',
    'read gtid_purged and gtid_executed',
  );
  const executed = GtidSet.parse(row?.executed ?? '');
  const surplus = gtidsOf(ours, facts.serverUuid).subtract(executed);
  if (!surplus.isEmpty()) throw behind(connection, facts, shown(surplus), surplus.count());
  const missing = GtidSet.parse(row?.purged ?? '').subtract(ours);
  if (missing.isEmpty()) return;
  throw new MillraceError(
    'SOURCE_PURGED',
    `the source ${peerName(connection.peer)} has deleted binary logs with transactions that we still need: ${shown(missing)}`,
    {
      hint: 'Take a new copy of the source for the target, read from another server that has them, or, when the target does have them, give them in source.start as gtid_set.',
      facts: { missing: shown(missing), count: missing.count() },
    },
  );
}

/** The part of a set that the source itself has made. What came through it from elsewhere it may never have had. */
export function gtidsOf(set: GtidSet, uuid: string | null): GtidSet {
  return uuid === null ? new GtidSet() : set.ofUuid(uuid);
}

function behind(
  connection: WireConnection,
  facts: SourceFacts,
  surplus: string,
  count: bigint,
): MillraceError {
  return new MillraceError(
    'SOURCE_BEHIND',
    `we hold transactions of the source ${peerName(connection.peer)} that it does not have itself: ${surplus}`,
    {
      hint: 'It has lost its tail, was restored from a backup, or its binary logs were reset: the target must be made anew from it, or the source from the target.',
      facts: { surplus, count, sourceUuid: facts.serverUuid ?? undefined },
    },
  );
}

async function checkDomains(connection: WireConnection, ours: MariadbPositionSet): Promise<void> {
  const [row] = await connection.query(
    'SELECT @@GLOBAL.gtid_binlog_state AS state',
    'read gtid_binlog_state',
  );
  const newest = newestByDomain(row?.state ?? '');
  for (const { domainId, serverId, seqNo } of ours.entries()) {
    const has = newest.get(domainId);
    if (has !== undefined && has >= seqNo) continue;
    const last = has === undefined ? 'nothing' : `${domainId}-…-${has}`;
    throw new MillraceError(
      'SOURCE_BEHIND',
      `we hold ${domainId}-${serverId}-${seqNo}, the source ${peerName(connection.peer)} has ${last} of that domain`,
      {
        hint: 'It has lost its tail, was restored from a backup, or its binary logs were reset: compare before doing anything.',
        facts: { surplus: `${domainId}-${serverId}-${seqNo}` },
      },
    );
  }
}

const FIRST_POSITION = 4;

/** Where a source without GTIDs begins, when nobody says where. @throws SOURCE_CONFIG, SOURCE_PURGED, PRIVILEGE_MISSING. */
export async function oldestPosition(connection: WireConnection): Promise<FilePositionSet> {
  let rows: Awaited<ReturnType<WireConnection['query']>>;
  try {
    rows = await connection.query('SHOW BINARY LOGS', 'find the oldest binary log');
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'PRIVILEGE_MISSING') throw error;
    throw new MillraceError('PRIVILEGE_MISSING', error.message, {
      hint: `GRANT REPLICATION CLIENT ON *.* TO '${connection.peer.user}', or set source.start to { file: …, position: … }`,
      facts: error.facts,
    });
  }
  const file = rows[0]?.Log_name;
  if (file === undefined || file === null) {
    throw new MillraceError('SOURCE_CONFIG', `the source ${peerName(connection.peer)} lists no binary log`);
  }
  const oldest = FilePositionSet.at(file, FIRST_POSITION);
  // An empty target lacks what was in the files before: going on from here would leave it out in silence.
  if (!new FilePositionSet().containsAll(oldest)) {
    throw new MillraceError(
      'SOURCE_PURGED',
      `the oldest binary log of ${peerName(connection.peer)} is ${file}: what came before is gone, and nothing says where the target stands`,
      {
        hint: 'Load the target from a snapshot and set source.start to the { file: …, position: … } of that snapshot.',
        facts: { oldest: file },
      },
    );
  }
  return oldest;
}

/** A set in a message. */
export function shown(set: GtidSet): string {
  const text = set.toString();
  return text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text;
}

/** The highest number of each domain in a list of MariaDB GTIDs (`0-1-7,0-2-9`), which may have several of a domain. */
export function newestByDomain(state: string): Map<number, bigint> {
  const newest = new Map<number, bigint>();
  for (const gtid of state.split(',')) {
    const [domain, , seqNo] = gtid.trim().split('-');
    if (domain === undefined || seqNo === undefined || !/^\d+$/.test(seqNo)) continue;
    const seen = newest.get(Number(domain)) ?? 0n;
    if (BigInt(seqNo) > seen) newest.set(Number(domain), BigInt(seqNo));
  }
  return newest;
}
