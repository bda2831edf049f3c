/**
 * `millrace find`: where in the relay log something happened. Reads the files from outside, beside a running Millrace or
 * without one, up to the last whole transaction; bounded memory, transaction by transaction, in the order of the log.
 *
 * A transaction is found when its name and commit time are as wished, and one of its changes is: of a wished kind, to a wished
 * table, in a statement that holds the wished text. What is told of it is those changes.
 *
 * Files that cannot hold what is wished are not read: every file says which transactions lie before it, and the commit time
 * of its first transaction bounds those of the file before it. The source's clock may have stepped: times are given
 * CLOCK_SLACK_MS.
 */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { isPayload, loggedEvent, unpackedEvents } from '../applier/logged-events.ts';
import {
  type PositionKind,
  type PositionSet,
  parsePositionSet,
  type TransactionId,
  transactionIdText,
} from '../binlog/position-set.ts';
import type { RowsOperation } from '../binlog/rows-event.ts';
import { firstSqlWord } from '../binlog/sql-verb.ts';
import type { TableMap } from '../binlog/table-map.ts';
import { commitMicros, TransactionBoundary } from '../binlog/transaction-boundary.ts';
import { diskError } from '../relay/durable-file.ts';
import { EventBlocks } from '../relay/event-blocks.ts';
import { type RelayEvent, RelayLogCursor } from '../relay/relay-log-cursor.ts';
import { relayFileName, relayFilePath } from '../relay/relay-log-index.ts';
import { fileSet, relayFiles } from '../relay/relay-log-location.ts';
import { searchableText, statementText } from '../relay/statement-text.ts';
import {
  type ChangeListener,
  ChangeReader,
  isUnreadable,
  type LoggedStatement,
} from '../rules/change-reader.ts';
import { readStatement } from '../rules/read-statement.ts';
import type { ChangeKind } from '../rules/target-rules.ts';
import type { WildTable } from '../rules/wild-table.ts';

export interface SearchWish {
  readonly dir: string;
  /** Source commit time, ms since the epoch: at or after `fromMs`, before `toMs`. */
  readonly fromMs: number | null;
  readonly toMs: number | null;
  readonly tables: WildTable | null;
  readonly kinds: ReadonlySet<ChangeKind> | null;
  readonly ids: WishedIds | null;
  /** Somewhere in a statement, without regard to case; secrets are not looked through. */
  readonly text: string | null;
}

/** Keys as `--json` prints them. */
export interface FoundChange {
  /** `unreadable`: a statement that could be anything. */
  readonly kind: ChangeKind | 'unreadable';
  /** `database.table`, or a database alone. */
  readonly objects: readonly string[];
  /** Null: a statement, whose rows nobody has counted, or that has none. */
  readonly rows: number | null;
  /** On one line, cut, without secrets; null: rows whose statement was not logged. */
  readonly statement: string | null;
}

export interface FoundTransaction {
  readonly gtid: string;
  /** Source commit time, ISO 8601. */
  readonly committed_at: string;
  readonly log_name: string;
  readonly pos: number;
  /** All its events in the relay log. */
  readonly bytes: number;
  /** Those that were asked for; at most CHANGES_MAX. */
  readonly changes: readonly FoundChange[];
  /** So many more of them were left out. */
  readonly more_changes: number;
}

export const CHANGES_MAX = 100;
const CLOCK_SLACK_MS = 600_000;
const STATEMENT_CHARACTERS = 200;
/** More than so many characters take. */
const STATEMENT_BYTES = 1024;
const OPERATIONS: readonly RowsOperation[] = ['insert', 'update', 'delete'];

/**
 * Yields null now and then, so that the caller can look up. Throws RELAY_CORRUPT where the log is damaged (after what was
 * found before), DISK.
 */
export function* searchRelayLog(wish: SearchWish): Generator<FoundTransaction | null, void, undefined> {
  const search = new TransactionSearch(wish);
  for (const { first, last } of fileRanges(wish)) {
    const cursor = RelayLogCursor.open({
      dir: wish.dir,
      published: null,
      from: { fileNumber: first, offset: 0 },
    });
    try {
      let untold = 0;
      for (let event = cursor.next(); event !== null; event = cursor.next()) {
        if (event.fileNumber > last || search.isBeyond(event)) break;
        const found = search.take(cursor, event);
        untold += event.rawLength;
        if (found === null && untold < BYTES_PER_TURN) continue;
        untold = 0;
        yield found;
      }
    } finally {
      cursor.close();
    }
  }
}

/** Statements whose kind their first word tells: reading them costs. */
const ROWS_WORDS: ReadonlyMap<string, RowsOperation> = new Map([
  ['INSERT', 'insert'],
  ['REPLACE', 'insert'],
  ['UPDATE', 'update'],
]);

const BYTES_PER_TURN = 4 * 1024 * 1024;

interface FileRange {
  readonly first: number;
  readonly last: number;
}

/** Runs of files that may hold something, oldest first. */
function* fileRanges({ dir, ids, fromMs, toMs }: SearchWish): Generator<FileRange, void, undefined> {
  const files = relayFiles(dir).flatMap((number) => {
    const header = fileSet(dir, number);
    return header === null ? [] : [{ number, previous: header.previous }];
  });
  let first: number | null = null;
  let last = 0;
  for (const [index, { number, previous }] of files.entries()) {
    const next = files[index + 1];
    const outside =
      (ids !== null && !ids.mayBeBetween(previous, next?.previous ?? null)) ||
      (fromMs !== null && next !== undefined && startsBefore(dir, next.number, fromMs - CLOCK_SLACK_MS)) ||
      (toMs !== null && startsAfter(dir, number, toMs + CLOCK_SLACK_MS));
    if (!outside) {
      first ??= number;
      last = number;
    } else if (first !== null) {
      yield { first, last };
      first = null;
    }
  }
  // A file that begins while this reads belongs to the last run.
  if (first !== null) yield { first, last: last === files.at(-1)?.number ? Number.POSITIVE_INFINITY : last };
}

function startsBefore(dir: string, fileNumber: number, ms: number): boolean {
  const first = firstCommitMs(dir, fileNumber);
  return first !== null && first < ms;
}

function startsAfter(dir: string, fileNumber: number, ms: number): boolean {
  const first = firstCommitMs(dir, fileNumber);
  return first !== null && first > ms;
}

/** Null: the file has no transaction yet, or is gone. Only its begin is read: the last one may be long, and still grows. */
function firstCommitMs(dir: string, fileNumber: number): number | null {
  const header = fileSet(dir, fileNumber);
  if (header === null) return null;
  const path = relayFilePath(dir, fileNumber);
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (cause) {
    throw diskError('open', path, cause);
  }
  try {
    const checksummed = header.fde.checksum === 'crc32';
    const blocks = new EventBlocks({ fd, path, offset: header.end, checksummed, blockLength: FIRST_BLOCK });
    const boundary = new TransactionBoundary(header.fde);
    const { size } = fstatSync(fd);
    while (blocks.next(size) === 'event') {
      boundary.feed(blocks.buf, blocks.start, blocks.end);
      if (boundary.head !== null) return Number(commitMicros(boundary.head) / 1000n);
    }
    return null;
  } finally {
    closeSync(fd);
  }
}

const FIRST_BLOCK = 64 * 1024;

/**
 * Transactions by their names: a set of GTIDs; of MariaDB, or by positions, names as they are printed, separated by commas,
 * since sets of those kinds stand for all before them too.
 */
export class WishedIds {
  readonly #sets: readonly PositionSet[];
  readonly #names: ReadonlySet<string> | null;

  /** Throws MALFORMED_POSITION. */
  constructor(kind: PositionKind, text: string) {
    const names = kind === 'gtid' ? [text] : text.split(',').map((name) => name.trim());
    this.#sets = names.map((name) => parsePositionSet(kind, name));
    this.#names = kind === 'gtid' ? null : new Set(names);
  }

  has(id: TransactionId): boolean {
    if (this.#names !== null) return this.#names.has(transactionIdText(id));
    const [set] = this.#sets;
    return set!.kind === id.kind && set!.has(id);
  }

  /** One of them may stand in a file before which there is `before`, and after which `after`; null: there is no next file. */
  mayBeBetween(before: PositionSet, after: PositionSet | null): boolean {
    return this.#sets.some((set) => {
      if (set.kind !== before.kind || (after !== null && set.kind !== after.kind)) return true;
      if (after === null) return !before.containsAll(set);
      const there = set.kind === 'gtid' ? set.intersect(after) : set;
      return !there.isEmpty() && after.containsAll(there) && !before.containsAll(there);
    });
  }
}

class TransactionSearch implements ChangeListener {
  readonly operations: ReadonlySet<RowsOperation>;
  readonly #wish: SearchWish;
  readonly #text: string | null;
  readonly #changes = new ChangeReader(this, null);
  #pos = 0;
  #bytes = 0;
  #wanted = false;
  /** By kind, table and statement. */
  readonly #found = new Map<string, { change: FoundChange; rows: number | null }>();
  #more = 0;
  /** The text that made the rows that follow. */
  #rowsText: { readonly begin: Buffer; readonly matches: boolean } | null = null;

  constructor(wish: SearchWish) {
    this.#wish = wish;
    this.#text = wish.text?.toLowerCase() ?? null;
    const { kinds } = wish;
    this.operations = new Set(OPERATIONS.filter((operation) => kinds === null || kinds.has(operation)));
  }

  /** Everything from here on was committed later than is asked for. */
  isBeyond({ head }: RelayEvent): boolean {
    const { toMs } = this.#wish;
    if (toMs === null || head === null) return false;
    return Number(commitMicros(head) / 1000n) > toMs + CLOCK_SLACK_MS;
  }

  take(cursor: RelayLogCursor, event: RelayEvent): FoundTransaction | null {
    const { place } = event;
    if (place === 'between') return null;
    if (place === 'begin' || place === 'single') this.#begin(event);
    this.#bytes += event.rawLength;
    if (this.#wanted) {
      if (isPayload(event)) this.#unpack(cursor, event);
      else this.#changes.take(loggedEvent(cursor, event));
    }
    return place === 'end' || place === 'single' ? this.#end(event) : null;
  }

  #begin({ head, id, offset }: RelayEvent): void {
    const { fromMs, toMs, ids } = this.#wish;
    const ms = head === null ? 0 : Number(commitMicros(head) / 1000n);
    // By positions a transaction's name is known with its last event only.
    const named = ids === null || id === null || ids.has(id);
    this.#wanted = named && (fromMs === null || ms >= fromMs) && (toMs === null || ms < toMs);
    this.#pos = offset;
    this.#bytes = 0;
    this.#found.clear();
    this.#more = 0;
    this.#rowsText = null;
  }

  #end(event: RelayEvent): FoundTransaction | null {
    const { id, head, fileNumber } = event;
    if (!this.#wanted || id === null || head === null) return null;
    const { ids } = this.#wish;
    if (ids !== null && !ids.has(id)) return null;
    const asked = this.#wish.kinds !== null || this.#wish.tables !== null || this.#text !== null;
    if (asked && this.#found.size === 0) return null;
    return {
      gtid: transactionIdText(id),
      committed_at: new Date(Number(commitMicros(head) / 1000n)).toISOString(),
      log_name: relayFileName(fileNumber),
      pos: this.#pos,
      bytes: this.#bytes,
      changes: [...this.#found.values()].map(({ change, rows }) => ({ ...change, rows })),
      more_changes: this.#more,
    };
  }

  #unpack(cursor: RelayLogCursor, event: RelayEvent): void {
    try {
      for (const inner of unpackedEvents(cursor, event)) this.#changes.take(inner);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      this.unreadable(error.message);
    }
  }

  // ---- what the transaction changes

  rows(operation: RowsOperation, { database, table }: TableMap, rows: number | null): void {
    const { kinds, tables } = this.#wish;
    if (kinds !== null && !kinds.has(operation)) return;
    if (tables !== null && !tables.matches(database, table)) return;
    if (this.#text !== null && this.#rowsText?.matches !== true) return;
    const begin = this.#rowsText?.begin ?? null;
    const statement = begin && statementText(begin, 0, begin.length, STATEMENT_CHARACTERS);
    this.#add({ kind: operation, objects: [`${database}.${table}`], rows, statement });
  }

  text(buf: Buffer, start: number, end: number): void {
    // Most are never shown: only what could be is kept.
    const begin = Buffer.from(buf.subarray(start, Math.min(end, start + STATEMENT_BYTES)));
    this.#rowsText = { begin, matches: this.#holdsText(buf, start, end) };
  }

  statement({ buf, start, end, whole, database, dialect }: LoggedStatement): void {
    this.#rowsText = null;
    const { kinds, tables } = this.#wish;
    const rowsKind = ROWS_WORDS.get(firstSqlWord(buf, start, end));
    if (rowsKind !== undefined && kinds !== null && !kinds.has(rowsKind)) return;
    if (!this.#holdsText(buf, start, end)) return;
    const statement = statementText(buf, start, end, STATEMENT_CHARACTERS);
    const reading = whole
      ? readStatement(buf.subarray(start, end), dialect)
      : ({ is: 'unplaced', why: 'it is too long', at: 0 } as const);
    if (reading.is === 'unplaced') {
      this.#add({ kind: 'unreadable', objects: [], rows: null, statement });
      return;
    }
    const { kind } = reading;
    if (kinds !== null && !kinds.has(kind)) return;
    // What is only looked at is not changed: the table in LIKE, a foreign key's parent.
    const objects = reading.objects
      .filter(({ role }) => role !== 'reads')
      .map((each) => ({ ...each, of: each.database ?? database }));
    const concerns =
      tables === null ||
      objects.some(({ kind, of, name }) =>
        kind === 'database' ? tables.matchesDatabase(of) : tables.matches(of, name),
      );
    if (!concerns) return;
    const names = objects.map(({ kind, of, name }) => (kind === 'database' ? of : `${of}.${name}`));
    this.#add({ kind, objects: [...new Set(names)].slice(0, CHANGES_MAX), rows: null, statement });
  }

  /** It could be anything, but it is no statement. */
  unreadable(why: string): void {
    if (this.#text === null) this.#add({ kind: 'unreadable', objects: [], rows: null, statement: why });
  }

  #holdsText(buf: Buffer, start: number, end: number): boolean {
    return this.#text === null || searchableText(buf, start, end).toLowerCase().includes(this.#text);
  }

  #add(change: FoundChange): void {
    const key = `${change.kind}\0${change.objects.join('\0')}\0${change.statement ?? ''}`;
    const known = this.#found.get(key);
    if (known !== undefined) {
      known.rows = known.rows === null || change.rows === null ? null : known.rows + change.rows;
    } else if (this.#found.size < CHANGES_MAX) this.#found.set(key, { change, rows: change.rows });
    else this.#more += 1;
  }
}
