/**
 * QUERY_EVENT (2) and MARIADB_QUERY_COMPRESSED_EVENT (165): a statement and the session it ran in. Body, little-endian:
 *
 *    0   4  thread id
 *    4   4  execution time           seconds
 *    8   1  length of the database's name
 *    9   2  error code               what the statement failed with on the source and still had to be logged
 *   11   2  length of the status variables
 *   13   …  status variables         code u8 and a value whose length the code tells; see STATUS below
 *    …   …  database, NUL
 *    …   …  SQL text up to the end; compressed in 165 (mariadb-compression.ts)
 *
 * A status variable of an unknown code has an unknown length: reading ends there and `unknownFrom` names the code. mysqld
 * passes over the rest in silence; whoever needs the whole context must stop instead.
 * Facts: MySQL's Query_event page; MariaDB's QUERY_EVENT page and log_event.h (128 and above); lengths seen on 9.7 and
 * 10.11.
 */
import { ByteDecoder, malformed } from './byte-decoder.ts';
import { EventType } from './event-header.ts';
import { type FormatDescription, postHeaderLength } from './format-description.ts';
import { MariadbGtidExtraFlag } from './gtid-events.ts';
import { type SqlVerb, sqlVerb } from './sql-verb.ts';

export interface QueryContext {
  /** Bits of foreign_key_checks, unique_checks, sql_auto_is_null, autocommit. */
  flags2: number | null;
  sqlMode: bigint | null;
  catalog: string | null;
  autoIncrement: { readonly increment: number; readonly offset: number } | null;
  /** Collation ids of character_set_client, collation_connection, collation_server. */
  charset: { readonly client: number; readonly connection: number; readonly server: number } | null;
  timeZone: string | null;
  lcTimeNames: number | null;
  charsetDatabase: number | null;
  tableMapForUpdate: bigint | null;
  invoker: { readonly user: string; readonly host: string } | null;
  /** Null: not written, or too many to name (254). */
  updatedDbNames: readonly string[] | null;
  /** Fraction of the header's timestamp. */
  microseconds: number | null;
  explicitDefaultsForTimestamp: boolean | null;
  /** The DDL commits with this XID; no XID_EVENT follows. */
  ddlXid: bigint | null;
  defaultCollationForUtf8mb4: number | null;
  sqlRequirePrimaryKey: number | null;
  defaultTableEncryption: number | null;
  /** 9.7: triggers of child tables fire for cascaded changes. */
  enableCascadeTriggers: number | null;
  /** MariaDB: fraction of the header's timestamp, µs. */
  mariadbHrnow: number | null;
  mariadbXid: bigint | null;
  /** MariaDB: START, COMMIT or ROLLBACK ALTER, as MariadbGtidExtraFlag; the number of the START ALTER with the last two. */
  mariadbAlter: { readonly flags: number; readonly startSeqNo: bigint | null } | null;
  /** MariaDB 11.3: the session's character_set_collations, pairs of ids. */
  mariadbCollations: readonly (readonly [charset: number, collation: number])[] | null;
  /** The first unknown code: what came from there on was not read. */
  unknownFrom: number | null;
}

export interface QueryEvent {
  readonly threadId: number;
  /** Seconds. */
  readonly execTime: number;
  readonly errorCode: number;
  /** Default database, empty: none. */
  readonly database: string;
  readonly statusVars: Readonly<QueryContext>;
  /** The SQL text is buf[sqlStart, sqlEnd), in the charset of the client. */
  readonly sqlStart: number;
  readonly sqlEnd: number;
}

const WHAT = 'QUERY_EVENT';
const DB_LENGTH_OFFSET = 8;
const STATUS_LENGTH_OFFSET = 11;
const POST_HEADER_LENGTH = 13;
const OVER_MAX_DBS = 254;

/** `buf[start, end)` is the body. Throws MALFORMED_EVENT. */
export function decodeQuery(buf: Buffer, start: number, end: number, fde: FormatDescription): QueryEvent {
  const body = new ByteDecoder(buf, start, end, WHAT);
  const threadId = body.u32();
  const execTime = body.u32();
  const databaseLength = body.u8();
  const errorCode = body.u16();
  const statusLength = body.u16();
  body.skip(Math.max(0, postHeaderLength(fde, EventType.QUERY_EVENT) - POST_HEADER_LENGTH));
  const statusStart = body.pos;
  body.skip(statusLength);
  const statusVars = decodeStatusVars(
    new ByteDecoder(buf, statusStart, body.pos, `${WHAT} status variables`),
  );
  const database = body.utf8(databaseLength);
  if (body.u8() !== 0) throw malformed(WHAT, 'no NUL after the name of the database');
  return { threadId, execTime, errorCode, database, statusVars, sqlStart: body.pos, sqlEnd: end };
}

/** What every variable is when the event does not carry it. */
function emptyContext(): QueryContext {
  return {
    flags2: null,
    sqlMode: null,
    catalog: null,
    autoIncrement: null,
    charset: null,
    timeZone: null,
    lcTimeNames: null,
    charsetDatabase: null,
    tableMapForUpdate: null,
    invoker: null,
    updatedDbNames: null,
    microseconds: null,
    explicitDefaultsForTimestamp: null,
    ddlXid: null,
    defaultCollationForUtf8mb4: null,
    sqlRequirePrimaryKey: null,
    defaultTableEncryption: null,
    enableCascadeTriggers: null,
    mariadbHrnow: null,
    mariadbXid: null,
    mariadbAlter: null,
    mariadbCollations: null,
    unknownFrom: null,
  };
}

function decodeStatusVars(vars: ByteDecoder): QueryContext {
  const context = emptyContext();
  while (vars.remaining > 0) {
    const code = vars.u8();
    if (readStatusVar(code, vars, context)) continue;
    context.unknownFrom = code;
    break;
  }
  return context;
}

/** STATUS: one variable. False: the code is unknown. Mostly they rise, but MariaDB 11.5 writes 131 before 4. */
function readStatusVar(code: number, vars: ByteDecoder, context: QueryContext): boolean {
  switch (code) {
    case 0:
      context.flags2 = vars.u32();
      return true;
    case 1:
      context.sqlMode = vars.u64();
      return true;
    case 2: // before 5.0.4, with a NUL
      context.catalog = vars.utf8(vars.u8());
      vars.skip(1);
      return true;
    case 3:
      context.autoIncrement = { increment: vars.u16(), offset: vars.u16() };
      return true;
    case 4:
      context.charset = { client: vars.u16(), connection: vars.u16(), server: vars.u16() };
      return true;
    case 5:
      context.timeZone = vars.utf8(vars.u8());
      return true;
    case 6:
      context.catalog = vars.utf8(vars.u8());
      return true;
    case 7:
      context.lcTimeNames = vars.u16();
      return true;
    case 8:
      context.charsetDatabase = vars.u16();
      return true;
    case 9:
      context.tableMapForUpdate = vars.u64();
      return true;
    case 10: // length of the event at the first server; 5.0 only
      vars.skip(4);
      return true;
    case 11: {
      const user = vars.utf8(vars.u8());
      context.invoker = { user, host: vars.utf8(vars.u8()) };
      return true;
    }
    case 12:
      context.updatedDbNames = updatedDbNames(vars);
      return true;
    case 13:
      context.microseconds = vars.u24();
      return true;
    case 16:
      context.explicitDefaultsForTimestamp = vars.u8() !== 0;
      return true;
    case 17:
      context.ddlXid = vars.u64();
      return true;
    case 18:
      context.defaultCollationForUtf8mb4 = vars.u16();
      return true;
    case 19:
      context.sqlRequirePrimaryKey = vars.u8();
      return true;
    case 20:
      context.defaultTableEncryption = vars.u8();
      return true;
    case 21:
      context.enableCascadeTriggers = vars.u8();
      return true;
    case 128:
      context.mariadbHrnow = vars.u24();
      return true;
    case 129:
      context.mariadbXid = vars.u64();
      return true;
    case 130: {
      const flags = vars.u8();
      const ofAlter = MariadbGtidExtraFlag.COMMIT_ALTER | MariadbGtidExtraFlag.ROLLBACK_ALTER;
      context.mariadbAlter = { flags, startSeqNo: flags & ofAlter ? vars.u64() : null };
      return true;
    }
    case 131:
      context.mariadbCollations = Array.from({ length: vars.u8() }, () => [vars.u16(), vars.u16()] as const);
      return true;
    default:
      return false;
  }
}

function updatedDbNames(vars: ByteDecoder): string[] | null {
  const count = vars.u8();
  if (count === OVER_MAX_DBS) return null;
  const names: string[] = [];
  for (let i = 0; i < count; i++) {
    const nul = vars.buf.indexOf(0, vars.pos);
    if (nul < 0 || nul >= vars.end) throw malformed(vars.what, 'a database name without NUL');
    names.push(vars.utf8(nul - vars.pos));
    vars.skip(1);
  }
  return names;
}

/**
 * What the statement in the body buf[start, end) means for the borders of a transaction. Everything before the statement is
 * passed over by its length, so this is cheap enough for every event that is received.
 */
export function queryVerb(buf: Buffer, start: number, end: number): SqlVerb {
  if (end - start < POST_HEADER_LENGTH) throw malformed(WHAT, `a body of ${end - start} bytes`);
  const statusLength = buf.readUInt16LE(start + STATUS_LENGTH_OFFSET);
  const sqlStart = start + POST_HEADER_LENGTH + statusLength + buf[start + DB_LENGTH_OFFSET]! + 1;
  if (sqlStart > end) throw malformed(WHAT, 'its statement begins after its end');
  return sqlVerb(buf, sqlStart, end);
}
