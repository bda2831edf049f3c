/**
 * From an authenticated connection to a running dump, in the order of a real replica (hazards A1):
 *
 *   clock · configuration · heartbeat period · checksum awareness · identity · [MariaDB: connect state] · history ·
 *   COM_REGISTER_SLAVE · semi-sync · COM_BINLOG_DUMP_GTID | COM_BINLOG_DUMP
 *
 * Everything that can be known to fail is asked before the dump command, because after it the connection can only be
 * closed. The result holds the socket and what the stream must know to read it; the dump command is not yet sent.
 */
import type net from 'node:net';
import { assert, MillraceError } from '../base/errors.ts';
import type { ChecksumAlgorithm } from '../binlog/checksum.ts';
import { GtidSet } from '../binlog/gtid-set.ts';
import {
  emptyPositionSet,
  FilePositionSet,
  GtidPositionSet,
  type PositionKind,
  type PositionSet,
  parsePositionSet,
} from '../binlog/position-set.ts';
import type { WireConnection } from '../wire/connection.ts';
import {
  binlogDump,
  binlogDumpGtid,
  registerReplica,
  SEND_ANNOTATE_ROWS_EVENT,
  USE_HEARTBEAT_EVENT_V2,
} from '../wire/dump-commands.ts';
import { Errno, type Peer, peerName } from '../wire/wire-error.ts';
import type { SourceStart } from './reader-messages.ts';
import { chooseServerId, type ReplicaIdentity } from './replica-identity.ts';
import {
  checkConfiguration,
  checkStart,
  readingKind,
  type SourceFacts,
  versionAtLeast,
} from './source-facts.ts';
import { checkHistory, oldestPosition } from './source-history.ts';
import { checkSameLog, type KnownLog } from './source-log.ts';

export interface DumpRequest {
  readonly identity: ReplicaIdentity;
  readonly heartbeatMs: number;
  readonly start: SourceStart;
  /** Whole transactions in the relay log and everything before them; null: the relay log is empty. */
  readonly retrieved: PositionSet | null;
  /** What all targets have, as text of the source's kind; null: not known. */
  readonly executed: string | null;
  /** What the relay log has of a source's binary log; null: it is empty. */
  readonly known: KnownLog | null;
}

/** A source that only waits for the dump command. */
export interface ReadySource {
  readonly peer: Peer;
  readonly socket: net.Socket;
  readonly tls: boolean;
  readonly facts: SourceFacts;
  readonly kind: PositionKind;
  readonly serverId: number;
  /** What the source is asked to leave out. */
  readonly base: PositionSet;
  /** The dump command, framed. */
  readonly dump: Buffer;
  /** How the events before the first FORMAT_DESCRIPTION_EVENT are checksummed. */
  readonly checksum: ChecksumAlgorithm;
  /** The source marks the events that it wants acknowledged. */
  readonly semiSync: boolean;
  /** What the dump must go on with, when it begins in the same file (source-log.ts). */
  readonly known: KnownLog | null;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Only what discovery needs: may we replicate from it, and how does it count. */
export function discoverKind(
  connection: WireConnection,
  facts: SourceFacts,
  request: Pick<DumpRequest, 'identity' | 'start' | 'retrieved'>,
): PositionKind {
  checkConfiguration(facts, connection, request.identity.replicaUuid);
  checkStart(facts, request.start);
  return readingKind(facts, request.retrieved?.kind ?? null);
}

/** Takes the connection's socket when it succeeds; the caller closes the connection when it throws. */
export async function prepareDump(
  connection: WireConnection,
  facts: SourceFacts,
  request: DumpRequest,
): Promise<ReadySource> {
  const kind = discoverKind(connection, facts, request);
  await announceHeartbeat(connection, facts, request.heartbeatMs);
  const checksum = await announceChecksum(connection, facts);
  await announceIdentity(connection, facts, request.identity.replicaUuid);
  const serverId = await chooseServerId(connection, facts, request.identity);
  const base = await whereToBegin(connection, kind, request);
  await checkHistory(connection, facts, base);
  const known = await checkSameLog(connection, facts, base, request.known);
  if (kind === 'mariadb') await announceConnectState(connection, base);
  await connection
    .command(registerReplica(serverId, request.identity.reportHost), 'register as a replica')
    .catch((error: unknown) => {
      throw deniedRegistration(error, connection);
    });
  if (facts.semiSync) {
    await connection.query('SET @rpl_semi_sync_replica = 1, @rpl_semi_sync_slave = 1', 'announce semi-sync');
  }
  const dump = dumpCommand(facts, kind, serverId, base);
  const socket = connection.takeSocket();
  return {
    peer: connection.peer,
    socket,
    tls: connection.tls,
    facts,
    kind,
    serverId,
    base,
    dump,
    checksum,
    semiSync: facts.semiSync,
    known,
  };
}

/** In nanoseconds. Without it an idle link and a dead one look the same. */
async function announceHeartbeat(
  connection: WireConnection,
  facts: SourceFacts,
  heartbeatMs: number,
): Promise<void> {
  const period = `${BigInt(Math.round(heartbeatMs)) * 1_000_000n}`;
  const newName = facts.flavour === 'mysql' ? `, @source_heartbeat_period = ${period}` : '';
  await connection.query(`SET @master_heartbeat_period = ${period}${newName}`, 'set the heartbeat period');
}

async function announceChecksum(connection: WireConnection, facts: SourceFacts): Promise<ChecksumAlgorithm> {
  const newName = facts.flavour === 'mysql' ? ', @source_binlog_checksum = @@GLOBAL.binlog_checksum' : '';
  try {
    await connection.query(
      `SET @master_binlog_checksum = @@GLOBAL.binlog_checksum${newName}`,
      'announce checksums',
    );
  } catch (error) {
    // Before 5.6 and 5.3 there are no checksums, and no such variable.
    if (error instanceof MillraceError && error.facts.errno === Errno.UNKNOWN_SYSTEM_VARIABLE) return 'none';
    throw error;
  }
  const [row] = await connection.query(
    'SELECT @master_binlog_checksum AS checksum',
    'read back the checksum',
  );
  return row?.checksum?.toUpperCase() === 'CRC32' ? 'crc32' : 'none';
}

async function announceIdentity(connection: WireConnection, facts: SourceFacts, uuid: string): Promise<void> {
  assert(UUID.test(uuid), 'the replica uuid has the form of a uuid');
  if (facts.flavour === 'mariadb') {
    await connection.query('SET @mariadb_slave_capability = 4', 'announce what we can read');
  } else {
    await connection.query(`SET @slave_uuid = '${uuid}', @replica_uuid = '${uuid}'`, 'announce our uuid');
  }
}

/** Strict: a GTID that is not in the binary log is an error there, never the next one that is. */
async function announceConnectState(connection: WireConnection, base: PositionSet): Promise<void> {
  // The text is rendered from parsed numbers.
  await connection.query(`SET @slave_connect_state = '${base.toString()}'`, 'announce where to begin');
  await connection.query('SET @slave_gtid_strict_mode = 1', 'announce strict mode');
  await connection.query('SET @slave_gtid_ignore_duplicates = 0', 'announce duplicates');
}

async function whereToBegin(
  connection: WireConnection,
  kind: PositionKind,
  request: DumpRequest,
): Promise<PositionSet> {
  const { retrieved, executed, start } = request;
  const base = retrieved?.clone() ?? emptyPositionSet(kind);
  if (executed !== null) base.addAll(parsePositionSet(kind, executed));
  if (start.at === 'gtid_set') base.addAll(parsePositionSet(kind, start.gtidSet));
  if (kind !== 'position' || !base.isEmpty()) return base;
  if (start.at === 'position') return FilePositionSet.at(start.file, start.position);
  return oldestPosition(connection);
}

function dumpCommand(facts: SourceFacts, kind: PositionKind, serverId: number, base: PositionSet): Buffer {
  if (kind === 'mariadb') return binlogDump(serverId, SEND_ANNOTATE_ROWS_EVENT, '', 4);
  const flags = versionAtLeast(facts.serverVersion, 8, 0, 26) ? USE_HEARTBEAT_EVENT_V2 : 0;
  if (base instanceof GtidPositionSet)
    return binlogDumpGtid(serverId, flags, askedFor(facts, base.gtids).encode());
  assert(base instanceof FilePositionSet && base.file !== null, 'a dump by position has a file');
  return binlogDump(serverId, flags, base.file, base.position);
}

/** A source before 8.3 cannot read the form with tags, and has nothing that is tagged. */
function askedFor(facts: SourceFacts, set: GtidSet): GtidSet {
  if (versionAtLeast(facts.serverVersion, 8, 3, 0)) return set;
  const text: string[] = [];
  for (const { sid, first, last } of set.intervals()) {
    if (!sid.includes(':')) text.push(`${sid}:${first}-${last}`);
  }
  return GtidSet.parse(text.join(','));
}

/** The server answers 1045 to a registration without the privilege, as if the password were wrong. */
function deniedRegistration(error: unknown, connection: WireConnection): unknown {
  if (!(error instanceof MillraceError) || error.facts.errno === undefined) return error;
  if (error.code !== 'ACCESS_DENIED' && error.code !== 'PRIVILEGE_MISSING') return error;
  return new MillraceError(
    'PRIVILEGE_MISSING',
    `the account may not replicate from ${peerName(connection.peer)}: ${error.message}`,
    { hint: `GRANT REPLICATION SLAVE ON *.* TO '${connection.peer.user}'`, facts: error.facts, cause: error },
  );
}
