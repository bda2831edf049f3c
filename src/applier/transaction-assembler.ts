/**
 * Makes transactions out of the events of the relay log.
 *
 *   cursor ── events ──▶ assembler ── Transaction ──▶ scheduler
 *
 * It skips what the target has executed, notices what must run alone, unpacks small compressed transactions, and gives
 * every transaction its identity. A transaction that outgrows INLINE_MAX keeps only its place; the worker reads its events
 * again (stored-transaction.ts).
 *
 * Invariants
 *  - Memory: one slab of at most INLINE_MAX plus one event.
 *  - Transactions come out whole and in the relay log's order, each once.
 * Thread: applier. `next` reads files synchronously and gives control back after SLICE_BYTES.
 */
import { MillraceError } from '../base/errors.ts';
import { decodeXaPrepare } from '../binlog/control-events.ts';
import { EVENT_HEADER_LENGTH, EventType } from '../binlog/event-header.ts';
import { neutralFormatDescription } from '../binlog/format-description.ts';
import { type TransactionId, transactionIdText } from '../binlog/position-set.ts';
import { queryVerb } from '../binlog/query-event.ts';
import { isRowsEvent } from '../binlog/rows-event.ts';
import { commitMicros, type TransactionHead } from '../binlog/transaction-boundary.ts';
import type { RelayPosition } from '../relay/published-end.ts';
import type { RelayEvent, RelayLogCursor } from '../relay/relay-log-cursor.ts';
import type { Executed } from '../target/progress.ts';
import type { Conflicts } from './apply-scheduler.ts';
import { EventSlab, SlabMemory } from './event-slab.ts';
import { LogicalClock } from './logical-clock.ts';
import { type PayloadEvents, payloadEvents } from './payload-events.ts';
import { RelayContinuity } from './relay-continuity.ts';
import type { Ending, Transaction } from './transaction.ts';
import { normalXid } from './xa-branch.ts';

/** A transaction whose events take more than this is read from the relay log again. */
const INLINE_MAX = 4 * 1024 * 1024;
/** How much is read before control goes back to the thread's other work: the first transactions start while more are read. */
const SLICE_BYTES = 64 * 1024;

export type Assembled =
  | { readonly is: 'transaction'; readonly transaction: Transaction }
  /** Executed before; it still counts for the order of what is done. */
  | { readonly is: 'executed'; readonly id: TransactionId; readonly commitMicros: bigint | null }
  /** The published end is reached. */
  | { readonly is: 'end' }
  /** More can be read: call again after other work had its turn. */
  | { readonly is: 'slice' };

interface Building {
  readonly location: RelayPosition;
  readonly skip: boolean;
  /** Null: it became too large. */
  slab: EventSlab | null;
  barrier: string | null;
  ending: Ending;
  xid: string | null;
}

export class TransactionAssembler {
  readonly #cursor: RelayLogCursor;
  readonly #executed: Executed;
  readonly #clock = new LogicalClock();
  readonly #continuity: RelayContinuity;
  readonly #slabs = new SlabMemory();
  readonly #slab = new EventSlab(this.#slabs);
  /** Read since control was last given back. */
  #sliceBytes = 0;
  #building: Building | null = null;
  #formatFile = -1;
  #format: Buffer = Buffer.alloc(0);

  /** `executed`: what the target had when it was taken over; not changed meanwhile. */
  constructor(cursor: RelayLogCursor, executed: Executed) {
    this.#cursor = cursor;
    this.#executed = executed;
    this.#continuity = new RelayContinuity(executed.set);
  }

  /** The oldest relay file that is still being read. */
  get fileNumber(): number {
    return this.#building?.location.fileNumber ?? this.#cursor.position.fileNumber;
  }

  /** Where the transaction begins that comes next. */
  get place(): RelayPosition {
    return this.#building?.location ?? this.#cursor.position;
  }

  next(): Assembled {
    for (;;) {
      if (this.#sliceBytes >= SLICE_BYTES) {
        this.#sliceBytes = 0;
        return { is: 'slice' };
      }
      const event = this.#cursor.next();
      if (event === null) {
        this.#sliceBytes = 0;
        return { is: 'end' };
      }
      this.#sliceBytes += event.rawLength;
      const { place } = event;
      if (place === 'between') continue;
      if (place === 'begin' || place === 'single') this.#open(event);
      const building = this.#building;
      if (building === null) throw this.#misplaced(event);
      if (!building.skip) this.#take(building, event);
      if (place === 'end' || place === 'single') {
        this.#building = null;
        return this.#close(building, event);
      }
    }
  }

  giveBack({ events }: Transaction): void {
    if (events !== null) this.#slabs.giveBack(events);
  }

  #open(event: RelayEvent): void {
    this.#continuity.enter(event.fileNumber, this.#cursor.header);
    this.#slab.clear();
    this.#building = {
      location: { fileNumber: event.fileNumber, offset: event.offset },
      skip: event.id !== null && this.#isExecuted(event.id),
      slab: this.#slab,
      barrier: null,
      ending: 'xid',
      xid: null,
    };
  }

  #isExecuted(id: TransactionId): boolean {
    return (
      this.#executed.set.has(id) ||
      (this.#executed.above.size > 0 && this.#executed.above.has(transactionIdText(id)))
    );
  }

  #take(building: Building, event: RelayEvent): void {
    if (event.type === EventType.TRANSACTION_PAYLOAD_EVENT) {
      this.#takePayload(building, event);
      return;
    }
    this.#classify(building, event.type, event.buf, event.start, event.end, isLast(event));
    if (event.oversized) building.slab = null;
    if (building.slab === null) return;
    building.slab.add(event.buf, event.start, event.end);
    if (building.slab.length > INLINE_MAX) building.slab = null;
  }

  /** The inner events take the payload's place; when they are too many, only their kinds are looked at. */
  #takePayload(building: Building, event: RelayEvent): void {
    const views = payloadEvents(event, (offset, length) => this.#cursor.readOversized(event, offset, length));
    if (event.oversized || views.uncompressedSize > INLINE_MAX) {
      building.slab = null;
      this.#classifyLargePayload(building, views);
      return;
    }
    for (const inner of views.events()) {
      const last = inner[4] === EventType.XID_EVENT;
      this.#classify(building, inner[4]!, inner, 0, inner.length, last);
      building.slab?.add(inner, 0, inner.length);
    }
  }

  /** Only row events are ever compressed: a BEGIN tells all. A branch of XA has its name at its end. */
  #classifyLargePayload(building: Building, views: PayloadEvents): void {
    building.ending = 'xid';
    for (const inner of views.events()) {
      const type = inner[4]!;
      if (type === EventType.QUERY_EVENT && queryVerb(inner, EVENT_HEADER_LENGTH, inner.length) === 'begin')
        return;
      if (!isRowsEvent(type)) this.#classify(building, type, inner, 0, inner.length, false);
    }
  }

  /** Looks at what an event means for the whole: how it ends, and why it could not run beside others. */
  #classify(building: Building, type: number, buf: Buffer, start: number, end: number, last: boolean): void {
    if (isRowsEvent(type) || type === EventType.TABLE_MAP_EVENT) {
      if (last) building.ending = 'commit';
      return;
    }
    if (type === EventType.XA_PREPARE_LOG_EVENT) {
      const xa = decodeXaPrepare(buf, start + EVENT_HEADER_LENGTH, end);
      building.ending = xa.onePhase ? 'xa-one-phase' : 'xa-prepare';
      building.xid = normalXid(xa);
      building.barrier = 'XA';
      return;
    }
    if (NAMING.has(type)) return;
    if (type === EventType.QUERY_EVENT) {
      const verb = queryVerb(buf, start + EVENT_HEADER_LENGTH, end);
      if (verb === 'begin') return;
      if (last) {
        building.ending = verb === 'commit' || verb === 'rollback' ? verb : 'single';
        building.barrier ??= verb === 'commit' ? 'a table without transactions' : 'a statement';
        return;
      }
    } else if (last) building.ending = 'single';
    building.barrier ??= 'a statement';
  }

  #close(building: Building, event: RelayEvent): Assembled {
    const { id, head } = event;
    if (id === null || head === null) throw this.#anonymous(event, building);
    this.#continuity.passed(id);
    if (building.skip || this.#isExecuted(id)) {
      return { is: 'executed', id, commitMicros: commitMicros(head) };
    }
    const events = building.slab?.take() ?? null;
    const transaction: Transaction = {
      conflicts: this.#conflicts(building, head, event.fileNumber, events),
      bytes: events?.length ?? 0,
      id,
      head,
      ending: building.ending,
      xid: building.xid,
      location: building.location,
      events,
      fde: event.fde,
      formatDescription: this.#formatDescription(event.fileNumber),
      commitMicros: commitMicros(head),
      commitIsExact: head.immediateCommitMicros !== null,
      skip: null,
    };
    return { is: 'transaction', transaction };
  }

  #conflicts(
    building: Building,
    head: TransactionHead,
    fileNumber: number,
    events: Buffer | null,
  ): Conflicts {
    // Read for every transaction: it goes on with each.
    const reading = this.#clock.read(head, fileNumber);
    if (building.barrier !== null) return { by: 'barrier', why: building.barrier };
    return events === null ? { by: 'barrier', why: 'it is large' } : reading;
  }

  #formatDescription(fileNumber: number): Buffer {
    if (this.#formatFile !== fileNumber) {
      this.#format = neutralFormatDescription(this.#cursor.header.rawFormatDescription);
      this.#formatFile = fileNumber;
    }
    return this.#format;
  }

  #misplaced(event: RelayEvent): MillraceError {
    return new MillraceError(
      'RELAY_CORRUPT',
      'the place in the relay log is not the begin of a transaction',
      {
        facts: { fileNumber: event.fileNumber, offset: event.offset },
      },
    );
  }

  #anonymous(event: RelayEvent, building: Building): MillraceError {
    return new MillraceError('UNSUPPORTED', 'a transaction without a GTID in a stream of GTIDs', {
      hint: 'Set gtid_mode=ON on the source (not ON_PERMISSIVE) and load the target anew from there.',
      facts: { fileNumber: event.fileNumber, offset: building.location.offset },
    });
  }
}

/** They name the transaction or describe it. */
const NAMING = new Set<number>([
  EventType.GTID_LOG_EVENT,
  EventType.GTID_TAGGED_LOG_EVENT,
  EventType.ANONYMOUS_GTID_LOG_EVENT,
  EventType.MARIADB_GTID_EVENT,
  EventType.ROWS_QUERY_LOG_EVENT,
  EventType.MARIADB_ANNOTATE_ROWS_EVENT,
  EventType.XID_EVENT,
]);

function isLast(event: RelayEvent): boolean {
  return event.place === 'end' || event.place === 'single';
}
