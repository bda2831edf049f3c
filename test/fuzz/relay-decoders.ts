/**
 * A relay log directory with damaged files: recovery, then a cursor over what is left. Each input is a file on disk, so
 * there are fewer of them.
 */
import { closeSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TransactionAssembler } from '../../src/applier/transaction-assembler.ts';
import { silentLogger } from '../../src/base/runtime.ts';
import { crc32, sealEvent } from '../../src/binlog/checksum.ts';
import { EVENT_HEADER_LENGTH, EventType } from '../../src/binlog/event-header.ts';
import { decodeFormatDescription } from '../../src/binlog/format-description.ts';
import {
  emptyPositionSet,
  type PositionKind,
  parsePositionSet,
  transactionIdText,
} from '../../src/binlog/position-set.ts';
import { listEvents } from '../../src/relay/event-listing.ts';
import { encodeRelayFileHeader } from '../../src/relay/relay-file-header.ts';
import { RelayLogCursor } from '../../src/relay/relay-log-cursor.ts';
import { readRelayLogIndex, relayFileName } from '../../src/relay/relay-log-index.ts';
import { recoverRelayLog } from '../../src/relay/relay-log-recovery.ts';
import { decodeMarks, encodeHead, encodeMark, HEAD_LENGTH } from '../../src/relay/relay-marks.ts';
import type { Corpus } from './corpus.ts';
import type { FuzzDecoder } from './fuzzer.ts';
import { mutate } from './mutator.ts';
import type { Random } from './random.ts';

/** Files are opened, synced and removed: on a busy machine that takes its time. */
export const FILES_SLOW_MS = 1000;

const KINDS: readonly PositionKind[] = ['gtid', 'mariadb', 'position'];
const MAGIC_LENGTH = 4;
const OF_THE_FILE: ReadonlySet<number> = new Set([
  EventType.FORMAT_DESCRIPTION_EVENT,
  EventType.PREVIOUS_GTIDS_LOG_EVENT,
  EventType.ROTATE_EVENT,
  EventType.STOP_EVENT,
  EventType.MARIADB_GTID_LIST_EVENT,
  EventType.MARIADB_BINLOG_CHECKPOINT_EVENT,
]);

export function relayDecoders(corpus: Corpus): FuzzDecoder[] {
  const seeds = relayFiles(corpus);
  return [
    {
      name: 'relay-cursor',
      weight: 0.05,
      slowMs: FILES_SLOW_MS,
      seeds,
      mutate: mutateFile,
      run: readThrough,
    },
    {
      name: 'relay-recovery',
      weight: 0.05,
      slowMs: FILES_SLOW_MS,
      seeds,
      mutate: mutateFile,
      runAsync: recoverAndRead,
    },
    {
      name: 'relay-assembler',
      weight: 0.05,
      slowMs: FILES_SLOW_MS,
      seeds,
      mutate: mutateFile,
      run: assemble,
    },
    {
      name: 'relay-listing',
      weight: 0.05,
      slowMs: FILES_SLOW_MS,
      seeds,
      mutate: mutateFile,
      run: (buf, start, end) => [...listEvents({ dir: folderWith(buf.subarray(start, end)) })],
    },
    {
      name: 'relay-index',
      weight: 0.02,
      slowMs: FILES_SLOW_MS,
      seeds: ['', 'relay-bin.000001\n', './relay-bin.000009\n./relay-bin.000010\n'].map((text) =>
        Buffer.from(text),
      ),
      run: (buf, start, end) => {
        const dir = emptyFolder();
        writeFileSync(join(dir, 'relay-bin.index'), buf.subarray(start, end));
        return readRelayLogIndex(dir);
      },
    },
    {
      name: 'relay-marks',
      weight: 0.5,
      seeds: marksFiles(),
      mutate: mutateMarks,
      run: readMarks,
    },
  ];
}

/** The header that the seeds belong to. */
const MARKED = { end: 200, tail: 0x1234_5678 };

function readMarks(buf: Buffer, start: number, end: number): unknown[] {
  const bytes = buf.subarray(start, end);
  return KINDS.map((kind) => {
    let before = MARKED.end;
    return decodeMarks(bytes, { end: MARKED.end, kind }, MARKED.tail).map(({ delta, ...mark }) => {
      if (mark.offset <= before || delta.isEmpty()) throw new Error('marks that do not rise');
      before = mark.offset;
      return { ...mark, delta: delta.toString() };
    });
  });
}

function marksFiles(): Buffer[] {
  const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
  const deltas = {
    gtid: [`${uuid}:1-10`, `${uuid}:11-18:20-21`, `${uuid}:19:22-30`],
    mariadb: ['0-1-10', '0-1-15,2-1-5', '0-1-30'],
    position: ['binlog.000007:2000', 'binlog.000007:9000', 'binlog.000007:12000'],
  };
  return KINDS.map((kind) => {
    const first = encodeHead(MARKED.end, MARKED.tail);
    const parts = [first.head];
    let check = first.check;
    for (const [at, text] of deltas[kind].entries()) {
      const n = at + 1;
      const mark = {
        offset: 1000 * n,
        sourceEnd: 900 * n,
        transactions: 10 * n,
        delta: parsePositionSet(kind, text),
      };
      const next = encodeMark(mark, n, check);
      parts.push(next.record);
      check = next.check;
    }
    return Buffer.concat(parts);
  });
}

/** Half of them with checks that fit again, so that damage passes the first gate. */
function mutateMarks(random: Random, seeds: readonly Buffer[]): Buffer {
  const file = mutate(random, seeds);
  if (random.oneIn(2) || file.length < HEAD_LENGTH) return file;
  encodeHead(MARKED.end, MARKED.tail).head.copy(file);
  let check = file.readUInt32LE(HEAD_LENGTH - 4);
  for (let at = HEAD_LENGTH; at + 4 <= file.length; ) {
    const length = file.readUInt32LE(at);
    if (length < 8 || length > file.length - at) break;
    check = crc32(file, at, at + length - 4, check);
    file.writeUInt32LE(check, at + length - 4);
    at += length;
  }
  return file;
}

function readThrough(buf: Buffer, start: number, end: number): unknown[] {
  const dir = folderWith(buf.subarray(start, end));
  return cursorEvents(dir, 1);
}

/** What the applier makes of the file: transactions with their events, compressed ones unpacked. */
function assemble(buf: Buffer, start: number, end: number): unknown[] {
  const dir = folderWith(buf.subarray(start, end));
  const cursor = RelayLogCursor.open({ dir, published: null, from: { fileNumber: 1, offset: 0 } });
  try {
    const assembler = new TransactionAssembler(cursor, {
      set: emptyPositionSet(cursor.kind),
      above: new Set(),
      settled: new Set(),
    });
    const transactions: unknown[] = [];
    for (;;) {
      const next = assembler.next();
      if (next.is === 'end') return transactions;
      if (next.is !== 'transaction') continue;
      const { id, ending, events } = next.transaction;
      transactions.push([transactionIdText(id), ending, events === null ? null : Buffer.from(events)]);
    }
  } finally {
    cursor.close();
  }
}

/** Recovery must leave a log that it accepts a second time and that a cursor reads to its end. */
async function recoverAndRead(buf: Buffer, start: number, end: number): Promise<unknown> {
  const dir = folderWith(buf.subarray(start, end));
  const first = await recoverRelayLog(dir, silentLogger);
  if (first.last === null) return null;
  closeSync(first.last.fd);
  const again = await recoverRelayLog(dir, silentLogger);
  if (again.last === null) throw new Error('a recovered log is gone at the second recovery');
  closeSync(again.last.fd);
  if (again.last.end !== first.last.end || again.retrieved?.toString() !== first.retrieved?.toString()) {
    throw new Error('the second recovery finds something else than the first');
  }
  const events = cursorEvents(dir, first.last.fileNumber);
  const ends = events.filter(([place]) => place === 'end' || place === 'single').length;
  if (ends !== first.last.transactions) {
    throw new Error(`recovery counts ${first.last.transactions} transactions, the cursor ${ends}`);
  }
  return events;
}

/** Every event of the log from a file on. */
export function cursorEvents(
  dir: string,
  fileNumber: number,
): [place: string, type: number, length: number][] {
  const cursor = RelayLogCursor.open({ dir, published: null, from: { fileNumber, offset: 0 } });
  try {
    const events: [string, number, number][] = [];
    for (let event = cursor.next(); event !== null; event = cursor.next()) {
      events.push([event.place, event.type, event.rawLength]);
    }
    return events;
  } finally {
    cursor.close();
  }
}

/** Damage as bytes; half of the files get checksums that fit again, so that damage passes the first gate. */
function mutateFile(random: Random, seeds: readonly Buffer[]): Buffer {
  const file = mutate(random, seeds);
  if (random.oneIn(2)) {
    for (let at = MAGIC_LENGTH; at + EVENT_HEADER_LENGTH + 4 <= file.length; ) {
      const length = file.readUInt32LE(at + 9);
      if (length < EVENT_HEADER_LENGTH + 4 || length > file.length - at) break;
      sealEvent(file, at, at + length);
      at += length;
    }
  }
  return file;
}

/** The corpus's files as relay logs of each kind that they can be. */
function relayFiles(corpus: Corpus): Buffer[] {
  const out: Buffer[] = [];
  for (const run of corpus.runs) {
    const fde = decodeFormatDescription(run.formatDescription, 0, run.formatDescription.length);
    const kinds: PositionKind[] = [run.flavour === 'mysql' ? 'gtid' : 'mariadb', 'position'];
    for (const kind of kinds) {
      const origin = {
        rawFormatDescription: run.formatDescription,
        previous: emptyPositionSet(kind),
        sourceFile: 'binlog.000001',
        sourcePosition: 4,
      };
      const parts = [encodeRelayFileHeader(origin, fde)];
      let bytes = 0;
      for (const event of run.events) {
        if (OF_THE_FILE.has(event[4]!) || bytes > 16 * 1024) continue;
        bytes += event.length;
        parts.push(fde.checksum === 'crc32' ? sealed(event) : event);
      }
      out.push(Buffer.concat(parts));
    }
  }
  return out;
}

function sealed(event: Buffer): Buffer {
  const out = Buffer.concat([event, Buffer.alloc(4)]);
  out.writeUInt32LE(out.length, 9);
  sealEvent(out, 0, out.length);
  return out;
}

function folderWith(file: Buffer): string {
  const dir = emptyFolder();
  writeFileSync(join(dir, relayFileName(1)), file);
  writeFileSync(join(dir, 'relay-bin.index'), `${relayFileName(1)}\n`);
  return dir;
}

/** One folder a process, in memory where there is such a place: the fuzzer is not to wait for a disk. */
export function emptyFolder(): string {
  const memory = '/dev/shm';
  const dir = join(existsSync(memory) ? memory : tmpdir(), `millrace-fuzz-${process.pid}`);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir);
  return dir;
}

export function removeFuzzFolder(): void {
  rmSync(emptyFolder(), { recursive: true, force: true });
}
