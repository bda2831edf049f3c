/**
 * Whether the source's binary log is still the one that we have read from. RESET BINARY LOGS AND GTIDS (RESET MASTER) begins
 * another one, which hands out the same names, positions and GTIDs again: by those alone, what it says next looks like
 * what comes after ours, and everything below our mark would be passed over in silence.
 *
 *   where it is     a server whose log ends before what we have of it has begun a new one      asked before the dump
 *   what it is      a file is made once: the FORMAT_DESCRIPTION_EVENT at its begin keeps        seen when the dump begins
 *                   the second of its making, and its server_id
 *
 * Both only count for one and the same server. A new log that begins after all that we hold (gtid_purged, or the state at
 * its begin, says so) goes on with our history, and is not refused. Thread: reader.
 */
import { MillraceError } from '../base/errors.ts';
import { GtidSet } from '../binlog/gtid-set.ts';
import { GtidPositionSet, type PositionSet, parsePositionSet } from '../binlog/position-set.ts';
import type { WireConnection } from '../wire/connection.ts';
import { Errno, type Peer, peerName } from '../wire/wire-error.ts';
import { comparePlaces, type SourcePlace } from './head-samples.ts';
import { type SourceFacts, versionAtLeast } from './source-facts.ts';
import { gtidsOf } from './source-history.ts';

/** What we have of a source's binary log, as the relay log tells it. */
export interface KnownLog {
  /** The end of the last whole transaction. */
  readonly place: SourcePlace;
  /** Of the file's FORMAT_DESCRIPTION_EVENT. */
  readonly serverId: number;
  /** Of the same: seconds since the epoch by the source's clock. */
  readonly madeAt: number;
}

const SERVER_ID_OFFSET = 5;

/** `rawFormatDescription`: the event as the source sent it. */
export function knownLog(place: SourcePlace, rawFormatDescription: Buffer, at = 0): KnownLog {
  return {
    place,
    serverId: rawFormatDescription.readUInt32LE(at + SERVER_ID_OFFSET),
    madeAt: rawFormatDescription.readUInt32LE(at),
  };
}

/**
 * Asks where the source's log is. Returns what the dump has to begin with when it begins in the same file; null: nothing can be
 * said of that. @throws SOURCE_BEHIND.
 */
export async function checkSameLog(
  connection: WireConnection,
  facts: SourceFacts,
  ours: PositionSet,
  known: KnownLog | null,
): Promise<KnownLog | null> {
  if (known === null || known.serverId !== facts.serverId) return null;
  // A host that was made anew under its old server_id has a uuid of its own: we hold nothing of that.
  if (ours instanceof GtidPositionSet && gtidsOf(ours.gtids, facts.serverUuid).isEmpty()) return null;
  if (ours instanceof GtidPositionSet && (await isPurged(connection, ours, facts.serverUuid))) return null;
  const head = await askPlace(connection, facts);
  const order = head === null ? null : comparePlaces(head, known.place);
  if (head === null || order === null || order >= 0) return known;
  if (ours.kind === 'mariadb' && (await beginsAfter(connection, ours))) return null;
  throw logWasReset(
    connection.peer,
    `it is at ${head.file}:${head.position}, and we have already read ${known.place.file}:${known.place.position} of it`,
  );
}

/** @throws SOURCE_BEHIND: the dump begins in a file of the same name that is another one. */
export function checkSameFile(peer: Peer, known: KnownLog | null, begins: KnownLog): void {
  if (known === null || begins.place.file !== known.place.file) return;
  if (begins.serverId !== known.serverId || begins.madeAt === known.madeAt) return;
  const time = (seconds: number): string => new Date(seconds * 1000).toISOString();
  throw logWasReset(
    peer,
    `${known.place.file} was made at ${time(begins.madeAt)}, the one that we have read from at ${time(known.madeAt)}`,
  );
}

export function logWasReset(peer: Peer, why: string): MillraceError {
  return new MillraceError(
    'SOURCE_BEHIND',
    `the binary logs of the source ${peerName(peer)} were begun anew: ${why}`,
    {
      hint: 'After RESET BINARY LOGS AND GTIDS (RESET MASTER) the source hands out the same numbers again, for other transactions: make the target anew from it. When it was rebuilt and its new log does hold what we have, remove the relay log directory of the channel and start again.',
    },
  );
}

async function isPurged(
  connection: WireConnection,
  ours: GtidPositionSet,
  uuid: string | null,
): Promise<boolean> {
  const [row] = await connection.query('SELECT @@GLOBAL.gtid_purged AS purged', 'read gtid_purged');
  return gtidsOf(ours.gtids, uuid)
    .subtract(GtidSet.parse(row?.purged ?? ''))
    .isEmpty();
}

/** Null: the account may not ask. */
async function askPlace(connection: WireConnection, facts: SourceFacts): Promise<SourcePlace | null> {
  const isNew = facts.flavour === 'mysql' && versionAtLeast(facts.serverVersion, 8, 2, 0);
  const sql = isNew ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS';
  const [row] = await allowed(connection.query(sql, "ask for the source's position"));
  return row?.File == null ? null : { file: row.File, position: Number(row.Position ?? 0) };
}

/** The log that is there begins where ours has been passed already. */
async function beginsAfter(connection: WireConnection, ours: PositionSet): Promise<boolean> {
  const [oldest] = await allowed(connection.query('SHOW BINARY LOGS', 'find the oldest binary log'));
  const name = oldest?.Log_name ?? '';
  if (!/^[\w.-]+$/.test(name)) return false;
  const [row] = await connection.query(
    `SELECT BINLOG_GTID_POS('${name}', 4) AS state`,
    'ask what came before the oldest binary log',
  );
  return parsePositionSet('mariadb', row?.state ?? '').containsAll(ours);
}

async function allowed<T>(rows: Promise<T[]>): Promise<T[]> {
  try {
    return await rows;
  } catch (error) {
    const denied = error instanceof MillraceError && error.facts.errno === Errno.SPECIFIC_ACCESS_DENIED;
    if (!denied) throw error;
    return [];
  }
}
