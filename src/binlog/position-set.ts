/**
 * What a side has of the source's transactions, whichever way the source names them: one interface, three kinds.
 *
 *   gtid      MySQL GTID sets: exact, any holes                      3e11…:1-5021
 *   mariadb   one GTID per replication domain                        0-1-1234,1-3-45
 *   position  a file and a position, for sources without GTIDs      binlog.000007:4021
 *
 * The last two are watermarks: within a domain, or within the source's files, everything up to the mark is covered,
 * whichever server id it carries. So `add` never moves a mark back, and a transaction whose number is not above the
 * mark counts as known: who writes the relay log must refuse a source that hands out smaller numbers afterwards.
 *
 * Sets of different kinds never meet: a channel has one source. Mixing them is a fault of ours (INTERNAL).
 */
import { MariadbGtidPosition } from '@vlasky/zongji';
import { assert, MillraceError } from '../base/errors.ts';
import { GtidSet, malformedPosition } from './gtid-set.ts';

export type PositionKind = 'gtid' | 'mariadb' | 'position';

export type TransactionId =
  | { readonly kind: 'gtid'; readonly sid: string; readonly gno: bigint }
  | { readonly kind: 'mariadb'; readonly domainId: number; readonly serverId: number; readonly seqNo: bigint }
  /** `position` is the END of the transaction in the source's file. */
  | { readonly kind: 'position'; readonly file: string; readonly position: number };

export interface PositionSet {
  readonly kind: PositionKind;
  has(id: TransactionId): boolean;
  add(id: TransactionId): void;
  addAll(other: PositionSet): void;
  /** True when everything in `other` is in this set. */
  containsAll(other: PositionSet): boolean;
  intersect(other: PositionSet): PositionSet;
  clone(): PositionSet;
  isEmpty(): boolean;
  /** What `parsePositionSet` reads back. */
  toString(): string;
  /** How many transactions of `other` are not here; null: cannot tell. 0 exactly when `containsAll(other)`. */
  missingFrom(other: PositionSet): bigint | null;
}

export function emptyPositionSet(kind: PositionKind): PositionSet {
  switch (kind) {
    case 'gtid':
      return new GtidPositionSet(new GtidSet());
    case 'mariadb':
      return new MariadbPositionSet();
    case 'position':
      return new FilePositionSet();
  }
}

/** An empty text is the empty set. Throws MALFORMED_POSITION. */
export function parsePositionSet(kind: PositionKind, text: string): PositionSet {
  switch (kind) {
    case 'gtid':
      return new GtidPositionSet(GtidSet.parse(text));
    case 'mariadb':
      return MariadbPositionSet.parse(text);
    case 'position':
      return FilePositionSet.parse(text);
  }
}

/** As logs and status show it: `uuid:gno`, `uuid:tag:gno`, `domain-server-seq` or `file:position`. */
export function transactionIdText(id: TransactionId): string {
  switch (id.kind) {
    case 'gtid':
      return `${id.sid}:${id.gno}`;
    case 'mariadb':
      return `${id.domainId}-${id.serverId}-${id.seqNo}`;
    case 'position':
      return `${id.file}:${id.position}`;
  }
}

export class GtidPositionSet implements PositionSet {
  readonly kind = 'gtid';
  readonly gtids: GtidSet;

  /** Keeps `gtids` itself, not a copy. */
  constructor(gtids: GtidSet) {
    this.gtids = gtids;
  }

  has(id: TransactionId): boolean {
    assert(id.kind === 'gtid', 'a GTID is asked of a GTID set');
    return this.gtids.has(id.sid, id.gno);
  }

  add(id: TransactionId): void {
    assert(id.kind === 'gtid', 'a GTID is added to a GTID set');
    this.gtids.add(id.sid, id.gno);
  }

  addAll(other: PositionSet): void {
    this.gtids.addAll(gtidsOf(other));
  }

  containsAll(other: PositionSet): boolean {
    return this.gtids.containsAll(gtidsOf(other));
  }

  intersect(other: PositionSet): GtidPositionSet {
    return new GtidPositionSet(this.gtids.intersect(gtidsOf(other)));
  }

  clone(): GtidPositionSet {
    return new GtidPositionSet(this.gtids.clone());
  }

  isEmpty(): boolean {
    return this.gtids.isEmpty();
  }

  toString(): string {
    return this.gtids.toString();
  }

  missingFrom(other: PositionSet): bigint {
    return gtidsOf(other).subtract(this.gtids).count();
  }
}

function gtidsOf(set: PositionSet): GtidSet {
  assert(set instanceof GtidPositionSet, 'both sets are GTID sets');
  return set.gtids;
}

/** A domain's last transaction. */
export interface MariadbGtid {
  readonly domainId: number;
  readonly serverId: number;
  readonly seqNo: bigint;
}

/**
 * Text is read and printed by zongji's MariadbGtidPosition, which knows MariaDB's rules (one entry per domain, u32 and u64
 * ranges). Its `covers` asks for the same server id, which is right for a reader that may see a transaction twice and
 * wrong for one that must see each once: a domain's binlog order is total, so here the sequence number decides alone.
 */
export class MariadbPositionSet implements PositionSet {
  readonly kind = 'mariadb';
  readonly #domains: Map<number, MariadbGtid>;

  constructor() {
    this.#domains = new Map();
  }

  static parse(text: string): MariadbPositionSet {
    let canonical: string;
    try {
      canonical = MariadbGtidPosition.parse(text.trim()).toString();
    } catch (cause) {
      throw malformedPosition(
        text,
        `not a MariaDB GTID position (${cause instanceof Error ? cause.message : cause})`,
      );
    }
    const set = new MariadbPositionSet();
    for (const gtid of canonical === '' ? [] : canonical.split(',')) {
      const [domainId, serverId, seqNo] = gtid.split('-') as [string, string, string];
      set.#raise({ domainId: Number(domainId), serverId: Number(serverId), seqNo: BigInt(seqNo) });
    }
    return set;
  }

  /** One entry per domain, by domain id. */
  entries(): MariadbGtid[] {
    return [...this.#domains.values()].sort((a, b) => a.domainId - b.domainId);
  }

  has(id: TransactionId): boolean {
    assert(id.kind === 'mariadb', 'a MariaDB GTID is asked of a MariaDB position');
    return id.seqNo <= this.#seqNo(id.domainId);
  }

  add(id: TransactionId): void {
    assert(id.kind === 'mariadb', 'a MariaDB GTID is added to a MariaDB position');
    this.#raise(id);
  }

  addAll(other: PositionSet): void {
    for (const gtid of domainsOf(other).values()) this.#raise(gtid);
  }

  containsAll(other: PositionSet): boolean {
    for (const gtid of domainsOf(other).values()) if (gtid.seqNo > this.#seqNo(gtid.domainId)) return false;
    return true;
  }

  intersect(other: PositionSet): MariadbPositionSet {
    const out = new MariadbPositionSet();
    for (const theirs of domainsOf(other).values()) {
      const ours = this.#domains.get(theirs.domainId);
      if (ours !== undefined) out.#raise(ours.seqNo <= theirs.seqNo ? ours : theirs);
    }
    return out;
  }

  clone(): MariadbPositionSet {
    const out = new MariadbPositionSet();
    out.addAll(this);
    return out;
  }

  isEmpty(): boolean {
    return this.#domains.size === 0;
  }

  toString(): string {
    const position = new MariadbGtidPosition();
    for (const gtid of this.#domains.values()) position.add({ ...gtid, seqNo: gtid.seqNo.toString() });
    return position.toString();
  }

  /** Counts sequence numbers: more than the transactions when the source left numbers out. */
  missingFrom(other: PositionSet): bigint {
    let missing = 0n;
    for (const gtid of domainsOf(other).values()) {
      const ours = this.#seqNo(gtid.domainId);
      if (gtid.seqNo > ours) missing += gtid.seqNo - ours;
    }
    return missing;
  }

  static domains(set: MariadbPositionSet): ReadonlyMap<number, MariadbGtid> {
    return set.#domains;
  }

  /** 0, which numbers no transaction, for a domain we have nothing of. */
  #seqNo(domainId: number): bigint {
    return this.#domains.get(domainId)?.seqNo ?? 0n;
  }

  #raise(gtid: MariadbGtid): void {
    if (gtid.seqNo <= this.#seqNo(gtid.domainId)) return;
    this.#domains.set(gtid.domainId, { domainId: gtid.domainId, serverId: gtid.serverId, seqNo: gtid.seqNo });
  }
}

function domainsOf(set: PositionSet): ReadonlyMap<number, MariadbGtid> {
  assert(set instanceof MariadbPositionSet, 'both sets are MariaDB positions');
  return MariadbPositionSet.domains(set);
}

export class FilePositionSet implements PositionSet {
  readonly kind = 'position';
  /** Null: nothing yet. */
  #mark: FileMark | null = null;

  static at(file: string, position: number): FilePositionSet {
    const set = new FilePositionSet();
    set.#mark = fileMark(file, position);
    return set;
  }

  static parse(text: string): FilePositionSet {
    const trimmed = text.trim();
    if (trimmed === '') return new FilePositionSet();
    const colon = trimmed.lastIndexOf(':');
    const digits = trimmed.slice(colon + 1);
    const position = Number(digits);
    if (colon < 1 || !/^[0-9]+$/.test(digits) || !Number.isSafeInteger(position)) {
      throw malformedPosition(trimmed, 'a position is written file:position');
    }
    if (!FILE_NAME.test(trimmed.slice(0, colon)))
      throw malformedPosition(trimmed, 'a binary log file name ends in .digits');
    return FilePositionSet.at(trimmed.slice(0, colon), position);
  }

  /** Null when empty. */
  get file(): string | null {
    return this.#mark?.file ?? null;
  }

  /** 0 when empty. */
  get position(): number {
    return this.#mark?.position ?? 0;
  }

  has(id: TransactionId): boolean {
    assert(id.kind === 'position', 'a position is asked of a position set');
    return this.#mark !== null && compareMarks(fileMark(id.file, id.position), this.#mark) <= 0;
  }

  add(id: TransactionId): void {
    assert(id.kind === 'position', 'a position is added to a position set');
    // Almost always the same file as before: no need to take its name apart again.
    if (this.#mark !== null && this.#mark.file === id.file) {
      if (id.position > this.#mark.position) this.#mark.position = id.position;
    } else {
      this.#raise(fileMark(id.file, id.position));
    }
  }

  addAll(other: PositionSet): void {
    const theirs = markOf(other);
    if (theirs !== null) this.#raise({ ...theirs });
  }

  containsAll(other: PositionSet): boolean {
    const theirs = markOf(other);
    if (theirs === null || isBeginning(theirs)) return true;
    return this.#mark !== null && compareMarks(theirs, this.#mark) <= 0;
  }

  intersect(other: PositionSet): FilePositionSet {
    const theirs = markOf(other);
    const out = new FilePositionSet();
    if (theirs !== null && this.#mark !== null) {
      out.#mark = { ...(compareMarks(theirs, this.#mark) <= 0 ? theirs : this.#mark) };
    }
    return out;
  }

  clone(): FilePositionSet {
    const out = new FilePositionSet();
    out.addAll(this);
    return out;
  }

  isEmpty(): boolean {
    return this.#mark === null;
  }

  toString(): string {
    return this.#mark === null ? '' : `${this.#mark.file}:${this.#mark.position}`;
  }

  /** A position does not tell how many transactions lie before it. */
  missingFrom(other: PositionSet): bigint | null {
    return this.containsAll(other) ? 0n : null;
  }

  static mark(set: FilePositionSet): FileMark | null {
    return set.#mark;
  }

  #raise(mark: FileMark): void {
    if (this.#mark === null || compareMarks(mark, this.#mark) > 0) this.#mark = mark;
  }
}

interface FileMark {
  readonly file: string;
  readonly base: string;
  readonly number: number;
  position: number;
}

/** Where the first event of a source's first file stands: nothing lies before it, as in an empty set. */
const FIRST_EVENT_POSITION = 4;

function isBeginning(mark: FileMark): boolean {
  return mark.number <= 1 && mark.position <= FIRST_EVENT_POSITION;
}

const FILE_NAME = /^(.+)\.([0-9]{1,15})$/s;

function fileMark(file: string, position: number): FileMark {
  const parts = FILE_NAME.exec(file);
  if (parts === null) {
    throw new MillraceError(
      'SOURCE_POSITION',
      `"${file.slice(0, 255)}" is no binary log file name: it does not end in .digits`,
      {
        facts: { file, position },
      },
    );
  }
  return { file, base: parts[1]!, number: Number(parts[2]), position };
}

/** Negative, zero or positive, as a is before, at or after b. Only files of one series have an order. */
function compareMarks(a: FileMark, b: FileMark): number {
  if (a.base !== b.base) {
    throw new MillraceError(
      'SOURCE_POSITION',
      `${a.file} and ${b.file} do not belong to one series of binary logs`,
      {
        hint: "The source's log_bin base name changed, or it is another server: start from a position of this source.",
        facts: { file: a.file, position: a.position },
      },
    );
  }
  return a.number - b.number || a.position - b.position;
}

function markOf(set: PositionSet): FileMark | null {
  assert(set instanceof FilePositionSet, 'both sets are positions');
  return FilePositionSet.mark(set);
}
