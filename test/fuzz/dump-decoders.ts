/**
 * What a source sends after the dump command, into a relay log on disk: framing, intake, writer, and then recovery and a
 * cursor over what they left. Whatever came, the relay log must be whole: no damage, no half transaction, none twice.
 *
 * Input: one byte of options (kind of the log, semi-sync, chunk length), then the bytes of the socket.
 */
import { closeSync } from 'node:fs';
import { MillraceError } from '../../src/base/errors.ts';
import { silentLogger } from '../../src/base/runtime.ts';
import { sealEvent } from '../../src/binlog/checksum.ts';
import { encodeRotate } from '../../src/binlog/control-events.ts';
import { EventFlag, EventType } from '../../src/binlog/event-header.ts';
import {
  emptyPositionSet,
  FilePositionSet,
  type PositionKind,
  type PositionSet,
} from '../../src/binlog/position-set.ts';
import { EventIntake } from '../../src/reader/event-intake.ts';
import { PublishedEnd } from '../../src/relay/published-end.ts';
import { relayFiles } from '../../src/relay/relay-log-location.ts';
import { recoverRelayLog } from '../../src/relay/relay-log-recovery.ts';
import { RelayLogWriter } from '../../src/relay/relay-log-writer.ts';
import { framePacket, PacketReader } from '../../src/wire/packet-framing.ts';
import { type Corpus, type EventRun, FLAVOURS, runsOf } from './corpus.ts';
import { joinRun, shuffleRun, splitRun } from './event-run.ts';
import type { FuzzDecoder } from './fuzzer.ts';
import { mutate } from './mutator.ts';
import type { Random } from './random.ts';
import { cursorEvents, emptyFolder, FILES_SLOW_MS } from './relay-decoders.ts';

const SEED_BYTES_MAX = 6 * 1024;
const CHUNKS = [1, 3, 50, 64 * 1024];
const MAX_FILE_SIZE = 2 * 1024;
const PEER = { host: 'db1', port: 3306, user: 'repl' };

export function dumpDecoders(corpus: Corpus): FuzzDecoder[] {
  return FLAVOURS.flatMap((flavour) => {
    const seeds = runsOf(corpus, flavour).flatMap(pieces);
    if (seeds.length === 0) return [];
    const named: PositionKind = flavour === 'mysql' ? 'gtid' : 'mariadb';
    return [
      {
        name: `dump-stream-${flavour}`,
        weight: 0.03,
        slowMs: FILES_SLOW_MS,
        seeds,
        mutate: mutateDump,
        runAsync: (buf: Buffer, start: number, end: number) => receive(buf.subarray(start, end), named),
      },
    ];
  });
}

async function receive(input: Buffer, named: PositionKind): Promise<unknown> {
  const options = input[0] ?? 0;
  const kind = (options & 1) === 0 ? named : 'position';
  const dir = emptyFolder();
  const writer = await RelayLogWriter.open({
    dir,
    maxFileSize: MAX_FILE_SIZE,
    published: PublishedEnd.create(),
    log: silentLogger,
    bufferLength: 1024,
  });
  const intake = new EventIntake({
    peer: PEER,
    writer,
    log: silentLogger,
    base: kind === 'position' ? FilePositionSet.at('binlog.000001', 4) : emptyPositionSet(kind),
    checksum: 'crc32',
    semiSync: (options & 2) !== 0,
    commitMs: null,
  });
  const packets = new PacketReader(intake);
  const chunk = CHUNKS[(options >> 2) & 3]!;
  let failure: MillraceError | null = null;
  try {
    for (let at = 1; at < input.length; at += chunk) {
      packets.push(input.subarray(at, at + chunk));
      writer.publish();
    }
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code === 'INTERNAL') throw error;
    failure = error;
  }
  await closeAfter(writer, failure);
  const ends = await transactionsOnDisk(dir, writer);
  if (failure === null ? ends !== intake.transactions : ends > intake.transactions) {
    throw new Error(`${intake.transactions} transactions came, ${ends} are in the relay log`);
  }
  if (failure !== null) throw failure;
  return ends;
}

/** Dropping what is unfinished may publish, and so refuse, the same transaction again: the reason is told already. */
async function closeAfter(writer: RelayLogWriter, failure: MillraceError | null): Promise<void> {
  try {
    await writer.close();
  } catch (error) {
    if (failure === null || !(error instanceof MillraceError) || error.code === 'INTERNAL') throw error;
  }
}

/** How many whole transactions a recovery and a cursor find; both must agree with each other and with the writer. */
async function transactionsOnDisk(dir: string, writer: RelayLogWriter): Promise<number> {
  const recovered = await broken('recovery', () => recoverRelayLog(dir, silentLogger));
  if (recovered.last === null) return 0;
  closeSync(recovered.last.fd);
  if (setText(recovered.retrieved) !== setText(writer.retrieved)) {
    throw new Error(`the writer has ${writer.retrieved}, recovery finds ${recovered.retrieved}`);
  }
  const events = await broken('the cursor', async () => cursorEvents(dir, relayFiles(dir)[0]!));
  return events.filter(([place]) => place === 'end' || place === 'single').length;
}

/**
 * For comparison. Of a position only the file: numbers that go backwards and artificial events inside of a transaction, as no
 * source sends them, are counted by the reader with events in between that the relay log does not hold.
 */
function setText(set: PositionSet | null): string | null {
  return set instanceof FilePositionSet ? set.file : String(set);
}

/** What we wrote ourselves must not be refused by ourselves. */
async function broken<T>(who: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new Error(`${who} refuses what the writer wrote: ${error}`);
  }
}

/** Beginnings and middles of a file, each after the file's FORMAT_DESCRIPTION_EVENT. */
function pieces(run: EventRun): Buffer[] {
  const out: Buffer[] = [];
  const events = run.events.filter((event) => event[4] !== EventType.FORMAT_DESCRIPTION_EVENT);
  for (let at = 0; at < events.length && out.length < 60; ) {
    const part: Buffer[] = [run.formatDescription];
    let bytes = run.formatDescription.length;
    const from = at;
    while (at < events.length && bytes + events[at]!.length <= SEED_BYTES_MAX) {
      bytes += events[at]!.length;
      part.push(events[at]!);
      at++;
    }
    if (at === from) at++;
    out.push(joinRun(part));
  }
  return out;
}

/** Damage to the order of events, to their bytes under checksums that fit, or to the bytes of the socket. */
function mutateDump(random: Random, seeds: readonly Buffer[]): Buffer {
  let run = random.oneIn(2) ? shuffleRun(random, seeds) : random.pick(seeds);
  if (random.oneIn(2)) run = mutate(random, [run]);
  const options = random.u32() & 0x0f;
  const wire = Buffer.concat([Buffer.from([options]), ...socketBytes(splitRun(run), (options & 2) !== 0)]);
  return random.oneIn(3) ? mutate(random, [wire]) : wire;
}

function socketBytes(events: readonly Buffer[], semiSync: boolean): Buffer[] {
  const prefix = Buffer.from(semiSync ? [0x00, 0xef, 0x01] : [0x00]);
  const rotate = encodeRotate({
    serverId: 1,
    timestamp: 0,
    flags: EventFlag.ARTIFICIAL,
    position: 4,
    fileName: 'binlog.000001',
    checksum: 'crc32',
    logPos: 0,
  });
  const description = events.find((event) => event[4] === EventType.FORMAT_DESCRIPTION_EVENT);
  const checksummed = description === undefined || description[description.length - 5] === 1;
  const sent = [rotate, ...events.map((event) => sealed(event, checksummed))];
  return sent.map((event, i) => framePacket(Buffer.concat([prefix, event]), i + 1));
}

/** As on the wire: with a CRC that fits and a header that tells the length, where there is a header at all. */
function sealed(event: Buffer, checksummed: boolean): Buffer {
  if (event.length < 23) return event;
  const describes = event[4] === EventType.FORMAT_DESCRIPTION_EVENT;
  const out = checksummed && !describes ? Buffer.concat([event, Buffer.alloc(4)]) : Buffer.from(event);
  out.writeUInt32LE(out.length, 9);
  if (checksummed || describes) sealEvent(out, 0, out.length);
  return out;
}
