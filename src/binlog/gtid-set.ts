/**
 * A MySQL GTID set: which transactions, by sid. A sid is "uuid" or, since MySQL 8.3, "uuid:tag", in lower case.
 *
 * Text: `uuid:1-5:7:tag_a:1:tag_b:2-3,uuid2:1`. Blocks are ordered by uuid, inside a block the untagged intervals come
 * first, then the tags in order. We print what the server prints, without the line breaks it puts after the commas.
 *
 * Wire (COM_BINLOG_DUMP_GTID, PREVIOUS_GTIDS_LOG_EVENT), little-endian; without tags the classic form:
 *   0   8  number of sids
 *   …      per sid: uuid 16 bytes · number of intervals u64 · per interval: start u64, end u64 (exclusive)
 * with tags (8.3 and later), where every (uuid, tag) is an entry of its own:
 *   0   8  (1 << 56) | (number of entries << 8) | 1
 *   …      per entry: uuid 16 · tag length (varint: length << 1, one byte) · tag · intervals as above
 *
 * Invariants
 *  - No sid without an interval is kept: `isEmpty` and `equals` look at the map alone.
 *  - A decoded set came from untrusted bytes: counts are held against the bytes that are left before anything is allocated.
 *
 * Facts: sql/rpl_gtid_set.cc (add_gtid_text, encode, add_gtid_encoding); test/scenario/gtid-set-server.test.ts asks the server.
 */
import { MillraceError } from '../base/errors.ts';
import { ByteDecoder, malformed } from './byte-decoder.ts';
import { GNO_MAX, GnoIntervals } from './gno-intervals.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TAG = /^[a-z_][a-z0-9_]{0,31}$/;
const UUID_TEXT_LENGTH = 36;
/** A number of so many digits is below 2^53. */
const EXACT_DIGITS = 15;

/** Below this many intervals it is cheaper to add them one by one than to merge two lists. */
const MERGE_FROM = 16;

/** One interval of one sid, both ends inclusive. */
export interface GtidInterval {
  readonly sid: string;
  readonly first: bigint;
  readonly last: bigint;
}

export class GtidSet {
  readonly #sids: Map<string, GnoIntervals>;

  constructor() {
    this.#sids = new Map();
  }

  /** Reads the server's text form (white space, upper case and any order are accepted). Throws MALFORMED_POSITION. */
  static parse(text: string): GtidSet {
    const drafts = new Map<string, Draft>();
    for (const block of text.split(',')) {
      const trimmed = block.trim();
      if (trimmed !== '') parseBlock(trimmed.toLowerCase(), drafts);
    }
    const set = new GtidSet();
    for (const [sid, draft] of drafts) set.#sids.set(sid, draft.finish());
    return set;
  }

  /** Reads either wire form from start … end, which must hold the set and nothing else. Throws MALFORMED_EVENT. */
  static decode(buf: Buffer, start: number, end: number): GtidSet {
    const what = 'GTID set';
    const body = new ByteDecoder(buf, start, end, what);
    const head = body.u64();
    const format = Number(head >> 56n);
    if (format > 1) throw malformed(what, `format ${format} is not known`);
    const tagged = format === 1;
    if (tagged && (head & 0xffn) !== 1n) throw malformed(what, 'the two marks of the tagged format differ');
    const entries = tagged ? (head >> 8n) & 0xffff_ffff_ffffn : head;
    const entryMin = tagged ? 25 : 24;
    if (entries > BigInt(Math.floor(body.remaining / entryMin))) {
      throw malformed(what, `${entries} sids do not fit into ${body.remaining} bytes`);
    }
    const set = new GtidSet();
    for (let i = Number(entries); i > 0; i--) {
      const uuid = uuidText(body.bytes(16));
      const sid = tagged ? withTag(uuid, decodeTag(body)) : uuid;
      const intervals = decodeIntervals(body);
      if (set.#sids.has(sid)) throw malformed(what, `${sid} stands in it twice`);
      if (intervals.length > 0) set.#sids.set(sid, intervals);
    }
    if (body.remaining > 0) throw malformed(what, `${body.remaining} bytes follow it`);
    return set;
  }

  /** The classic wire form, or the tagged one if any sid has a tag (sources before 8.3 refuse that one). */
  encode(): Buffer {
    const sids = this.sids();
    const tagged = sids.some((sid) => sid.length > UUID_TEXT_LENGTH);
    let size = 8;
    for (const sid of sids) {
      const tagBytes = tagged ? 1 + tagOf(sid).length : 0;
      size += 16 + tagBytes + 8 + this.#sids.get(sid)!.length * 16;
    }
    const out = Buffer.allocUnsafe(size);
    const count = BigInt(sids.length);
    let pos = out.writeBigUInt64LE(tagged ? (1n << 56n) | (count << 8n) | 1n : count, 0);
    for (const sid of sids) {
      pos += out.write(sid.slice(0, UUID_TEXT_LENGTH).replaceAll('-', ''), pos, 'hex');
      if (tagged) {
        const tag = tagOf(sid);
        pos = out.writeUInt8(tag.length << 1, pos);
        pos += out.write(tag, pos, 'latin1');
      }
      const intervals = this.#sids.get(sid)!;
      pos = out.writeBigUInt64LE(BigInt(intervals.length), pos);
      for (let i = 0; i < intervals.length; i++) {
        pos = out.writeBigInt64LE(intervals.startAt(i), pos);
        pos = out.writeBigInt64LE(intervals.endAt(i), pos);
      }
    }
    return out;
  }

  toString(): string {
    let text = '';
    let block = '';
    for (const sid of this.sids()) {
      const uuid = sid.slice(0, UUID_TEXT_LENGTH);
      if (uuid === block) text += sid.slice(UUID_TEXT_LENGTH);
      else text += text === '' ? sid : `,${sid}`;
      block = uuid;
      text += intervalsText(this.#sids.get(sid)!);
    }
    return text;
  }

  clone(): GtidSet {
    const out = new GtidSet();
    for (const [sid, intervals] of this.#sids) out.#sids.set(sid, intervals.clone());
    return out;
  }

  /** Adds one transaction. Constant time for a sid's next number. Throws MALFORMED_POSITION for what is no GTID. */
  add(sid: string, gno: bigint): void {
    if (gno < 1n || gno > GNO_MAX)
      throw malformedPosition(`${sid}:${gno}`, 'a transaction number lies in 1 … 2^63 - 2');
    let intervals = this.#sids.get(sid);
    if (intervals === undefined) {
      checkSid(sid);
      intervals = new GnoIntervals();
      this.#sids.set(sid, intervals);
    }
    intervals.add(gno, gno + 1n);
  }

  has(sid: string, gno: bigint): boolean {
    return this.#sids.get(sid)?.has(gno) ?? false;
  }

  addAll(other: GtidSet): void {
    if (other === this) return;
    for (const [sid, theirs] of other.#sids) {
      const ours = this.#sids.get(sid);
      if (ours === undefined) this.#sids.set(sid, theirs.clone());
      else if (theirs.length >= MERGE_FROM) this.#sids.set(sid, ours.union(theirs));
      else for (let i = 0; i < theirs.length; i++) ours.add(theirs.startAt(i), theirs.endAt(i));
    }
  }

  /** The part of this uuid, with and without tags. */
  ofUuid(uuid: string): GtidSet {
    const out = new GtidSet();
    for (const [sid, intervals] of this.#sids) {
      if (sid.startsWith(uuid)) out.#sids.set(sid, intervals.clone());
    }
    return out;
  }

  union(other: GtidSet): GtidSet {
    const out = this.clone();
    out.addAll(other);
    return out;
  }

  subtract(other: GtidSet): GtidSet {
    const out = new GtidSet();
    for (const [sid, ours] of this.#sids) {
      const theirs = other.#sids.get(sid);
      const left = theirs === undefined ? ours.clone() : ours.subtract(theirs);
      if (left.length > 0) out.#sids.set(sid, left);
    }
    return out;
  }

  intersect(other: GtidSet): GtidSet {
    const out = new GtidSet();
    for (const [sid, ours] of this.#sids) {
      const theirs = other.#sids.get(sid);
      if (theirs === undefined) continue;
      const both = ours.intersect(theirs);
      if (both.length > 0) out.#sids.set(sid, both);
    }
    return out;
  }

  /** True when `other` is a subset of this set. */
  containsAll(other: GtidSet): boolean {
    for (const [sid, theirs] of other.#sids) {
      const ours = this.#sids.get(sid);
      if (ours === undefined || !ours.containsAll(theirs)) return false;
    }
    return true;
  }

  equals(other: GtidSet): boolean {
    if (this.#sids.size !== other.#sids.size) return false;
    for (const [sid, ours] of this.#sids) {
      const theirs = other.#sids.get(sid);
      if (theirs === undefined || !ours.equals(theirs)) return false;
    }
    return true;
  }

  isEmpty(): boolean {
    return this.#sids.size === 0;
  }

  /** How many transactions. */
  count(): bigint {
    let sum = 0n;
    for (const intervals of this.#sids.values()) sum += intervals.count();
    return sum;
  }

  /** In the order of the text form. */
  sids(): string[] {
    // A uuid sorts before the same uuid with a tag, and a ":" before every character of a longer uuid: plain order will do.
    return [...this.#sids.keys()].sort();
  }

  /** Every interval, in the order of the text form. */
  *intervals(): IterableIterator<GtidInterval> {
    for (const sid of this.sids()) {
      const intervals = this.#sids.get(sid)!;
      for (let i = 0; i < intervals.length; i++) {
        yield { sid, first: intervals.startAt(i), last: intervals.endAt(i) - 1n };
      }
    }
  }
}

/** A text that should be a GTID, a GTID set or a position, and is not one. */
export function malformedPosition(text: string, why: string): MillraceError {
  const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return new MillraceError('MALFORMED_POSITION', `"${shown}": ${why}`);
}

/** The intervals of one sid while its text is read; the numbers may come in any order. */
class Draft {
  #starts = new BigInt64Array(4);
  #ends = new BigInt64Array(4);
  #length = 0;

  add(start: bigint, end: bigint): void {
    if (this.#length === this.#starts.length) {
      this.#starts = doubled(this.#starts);
      this.#ends = doubled(this.#ends);
    }
    this.#starts[this.#length] = start;
    this.#ends[this.#length] = end;
    this.#length++;
  }

  finish(): GnoIntervals {
    return GnoIntervals.fromUnordered(
      this.#starts.subarray(0, this.#length),
      this.#ends.subarray(0, this.#length),
    );
  }
}

function doubled(array: BigInt64Array): BigInt64Array<ArrayBuffer> {
  const out = new BigInt64Array(array.length * 2);
  out.set(array);
  return out;
}

/** `uuid:interval…[:tag:interval…]…`: a tag names the intervals that follow it, and there must be some. */
function parseBlock(block: string, drafts: Map<string, Draft>): void {
  const items = block.split(':');
  const uuid = items[0]!.trim();
  if (!UUID.test(uuid)) throw malformedPosition(block, 'a GTID set starts with a UUID');
  let sid = uuid;
  let draft: Draft | null = null;
  let open = true; // the uuid or the tag before has no interval yet
  for (let i = 1; i < items.length; i++) {
    const item = items[i]!.trim();
    if (TAG.test(item)) {
      if (open && i > 1) throw malformedPosition(block, 'a tag without an interval');
      sid = withTag(uuid, item);
      draft = null;
      open = true;
      continue;
    }
    const dash = item.indexOf('-');
    const first = parseGno(dash < 0 ? item : item.slice(0, dash), block);
    const last = dash < 0 ? first : parseGno(item.slice(dash + 1), block);
    if (last < first) throw malformedPosition(block, `the interval ${item} ends before it starts`);
    if (draft === null) {
      draft = drafts.get(sid) ?? new Draft();
      drafts.set(sid, draft);
    }
    draft.add(first, last + 1n);
    open = false;
  }
  if (open) throw malformedPosition(block, 'an interval is missing');
}

/** A plain number that is exact as one; 0: it is none. Sets of 100,000 intervals are read every second. */
function shortNumber(text: string): number {
  if (text.length > EXACT_DIGITS) return 0;
  let number = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x30 || code > 0x39) return 0;
    number = number * 10 + code - 0x30;
  }
  return number;
}

function parseGno(text: string, block: string): bigint {
  const short = shortNumber(text);
  if (short > 0) return BigInt(short);
  const digits = text.trim();
  if (!/^[0-9]{1,30}$/.test(digits))
    throw malformedPosition(block, `"${digits.slice(0, 40)}" is no transaction number`);
  const gno = BigInt(digits);
  if (gno < 1n || gno > GNO_MAX) throw malformedPosition(block, `${gno} does not lie in 1 … 2^63 - 2`);
  return gno;
}

function decodeTag(body: ByteDecoder): string {
  const encodedLength = body.u8();
  if ((encodedLength & 1) === 1 || encodedLength > 64)
    throw malformed(body.what, 'a tag is longer than 32 characters');
  const tag = body.latin1(encodedLength >> 1);
  if (tag !== '' && !TAG.test(tag)) throw malformed(body.what, 'a tag holds characters that no tag has');
  return tag;
}

/** The server's own rule: every interval starts after the end of the one before, and none is empty. */
function decodeIntervals(body: ByteDecoder): GnoIntervals {
  const count = body.u64();
  if (count > BigInt(Math.floor(body.remaining / 16))) {
    throw malformed(body.what, `${count} intervals do not fit into ${body.remaining} bytes`);
  }
  const length = Number(count);
  const intervals = new GnoIntervals(length);
  let before = 0n;
  for (let i = 0; i < length; i++) {
    const start = body.i64();
    const end = body.i64();
    if (start <= before || end <= start)
      throw malformed(body.what, `interval ${start} to ${end} is empty or out of order`);
    intervals.add(start, end);
    before = end;
  }
  return intervals;
}

function intervalsText(intervals: GnoIntervals): string {
  const parts = new Array<string>(intervals.length);
  for (let i = 0; i < intervals.length; i++) {
    const first = intervals.startAt(i);
    const last = intervals.endAt(i) - 1n;
    parts[i] = first === last ? `:${first}` : `:${first}-${last}`;
  }
  return parts.join('');
}

/** The 16 bytes of a UUID as text. */
export function uuidText(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
}

function withTag(uuid: string, tag: string): string {
  return tag === '' ? uuid : `${uuid}:${tag}`;
}

function tagOf(sid: string): string {
  return sid.slice(UUID_TEXT_LENGTH + 1);
}

function checkSid(sid: string): void {
  const tag = tagOf(sid);
  const separator = sid.charAt(UUID_TEXT_LENGTH);
  const form = tag === '' ? separator === '' : separator === ':' && TAG.test(tag);
  if (!form || !UUID.test(sid.slice(0, UUID_TEXT_LENGTH)))
    throw malformedPosition(sid, 'no uuid or uuid:tag in lower case');
}
