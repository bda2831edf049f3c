import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../../../src/base/runtime.ts';
import { EventType } from '../../../src/binlog/event-header.ts';
import { emptyPositionSet, FilePositionSet, type PositionKind } from '../../../src/binlog/position-set.ts';
import { EventIntake, type IntakeOptions } from '../../../src/reader/event-intake.ts';
import { knownLog } from '../../../src/reader/source-log.ts';
import type { RelayLogWriter } from '../../../src/relay/relay-log-writer.ts';
import { PacketReader } from '../../../src/wire/packet-framing.ts';
import { SourceFile } from '../../support/binlog-feed.ts';
import { RelayDirectory, readAll } from '../../support/relay-directory.ts';
import { DumpBytes, endOf, sealedEvent } from './dump-bytes.ts';

const PEER = { host: 'db1', port: 3306, user: 'repl' };
const transactions = SourceFile.fixture('mysql-9.7', 'gtid-transactions');

let relay: RelayDirectory;
let writer: RelayLogWriter;
const warnings: string[] = [];
beforeEach(async () => {
  relay = new RelayDirectory();
  writer = await relay.openWriter();
  warnings.length = 0;
});
afterEach(() => relay.remove());

function intake(kind: PositionKind = 'gtid', options: Partial<IntakeOptions> = {}): EventIntake {
  return new EventIntake({
    peer: PEER,
    writer,
    log: { ...silentLogger, warn: (message) => void warnings.push(message) },
    base: kind === 'position' ? FilePositionSet.at('binlog.000007', 4) : emptyPositionSet(kind),
    checksum: 'crc32',
    semiSync: false,
    commitMs: null,
    ...options,
  });
}

/** Cuts the bytes into chunks of these lengths, over and over. */
function receive(into: EventIntake, bytes: Buffer, lengths: readonly number[] = [bytes.length]): void {
  const packets = new PacketReader(into);
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = Math.max(1, lengths[i % lengths.length]!);
    packets.push(bytes.subarray(at, at + length));
    writer.publish();
    at += length;
  }
}

function expectHolds(...files: SourceFile[]): void {
  const wanted = Buffer.concat(files.flatMap((file) => file.transactions().map(({ bytes }) => bytes)));
  const held = Buffer.concat(readAll(relay.cursor()).map(({ bytes }) => bytes));
  expect(held.equals(wanted)).toBe(true);
}

describe('every kind of source, in chunks of any length', () => {
  test.each<[string, string, PositionKind]>([
    ['mysql-9.7', 'gtid-transactions', 'gtid'],
    ['mysql-9.7', 'gtid-transactions', 'position'],
    ['mysql-9.7', 'anonymous', 'position'],
    ['mysql-9.7', 'tagged-gtids', 'gtid'],
    ['mysql-9.7', 'compressed', 'gtid'],
    ['mysql-9.7', 'no-checksum', 'position'],
    ['mysql-9.7', 'load-data', 'gtid'],
    ['mysql-9.7', 'xa', 'gtid'],
    ['mariadb-10.11', 'transactions', 'mariadb'],
    ['mariadb-10.11', 'compressed', 'mariadb'],
    ['mariadb-11.8', 'no-checksum', 'mariadb'],
    ['mariadb-11.8', 'transactions', 'mariadb'],
  ])('%s %s by %s', (folder, name, kind) => {
    const file = SourceFile.fixture(folder, name);
    for (const semiSync of [false, true]) {
      const { bytes } = new DumpBytes(semiSync).file(file);
      for (const length of [1, 7, 100, bytes.length]) {
        writer.reset();
        const into = intake(kind, { semiSync, checksum: file.fde.checksum });
        receive(into, bytes, [length]);
        expectHolds(file);
        expect(into.transactions).toBe(file.transactions().length);
        expect(into.sourcePosition).toBe(endOf(file));
        if (semiSync) {
          expect(into.takeAck()).toEqual({
            file: file.name,
            position: file.transactions().at(-1)!.sourceEnd,
          });
          expect(into.takeAck()).toBeNull();
        }
      }
    }
  });

  test('random chunks', () => {
    const { bytes } = new DumpBytes().file(transactions);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 12 }), (lengths) => {
        writer.reset();
        receive(intake(), bytes, lengths);
        expectHolds(transactions);
      }),
      { numRuns: 60 },
    );
  });
});

describe('large events', () => {
  const large = (length: number): Buffer => {
    const body = Buffer.alloc(length, 0x5a);
    body.fill(0, 0, 10);
    return sealedEvent(EventType.WRITE_ROWS_EVENT, body);
  };

  /** The large event goes behind the first rows event of the file. */
  function withLarge(event: Buffer): { bytes: Buffer; at: number } {
    const at = transactions.events.findIndex(
      ({ start }) => transactions.bytes[start + 4] === EventType.WRITE_ROWS_EVENT,
    );
    const dump = new DumpBytes().file(transactions, 0, at + 1).event(event);
    return { bytes: dump.events(transactions, at + 1).bytes, at };
  }

  test.each([0, 1, 22, 23, 24, 1000])('1 MiB and %i bytes pass in pieces', (more) => {
    const event = large(1024 * 1024 - 23 + more);
    receive(intake(), withLarge(event).bytes, [65_536, 1, 3000]);
    const held = Buffer.concat(readAll(relay.cursor()).map(({ bytes }) => bytes));
    expect(held.includes(event)).toBe(true);
    expect(held.length).toBe(
      event.length + Buffer.concat(transactions.transactions().map((t) => t.bytes)).length,
    );
  });

  test.each([50_000, 2_000_000 - 1, 2_000_000 + 22])(
    'a flipped bit at byte %i is seen before the transaction ends',
    (at) => {
      const event = large(2_000_000);
      event[at]! ^= 4;
      expect(() => receive(intake(), withLarge(event).bytes, [65_536])).toThrow(
        'does not match its checksum',
      );
      writer.abandon();
      for (const { bytes } of readAll(relay.cursor())) expect(bytes.length).toBeLessThan(100_000);
    },
  );

  test('one that is longer or shorter than its header says is refused', () => {
    for (const delta of [-1, 1]) {
      writer.reset();
      const event = large(2_000_000);
      event.writeUInt32LE(event.length + delta, 9);
      expect(() => receive(intake(), withLarge(event).bytes, [65_536])).toThrow('than its length');
    }
  });

  test('memory stays small when a packet only claims to be an event', () => {
    const endless = Buffer.alloc(3_000_000, 0xff);
    const dump = new DumpBytes().file(transactions, 0, 1).packet(endless);
    expect(() => receive(intake(), dump.bytes, [65_536])).toThrow('more than 64 KiB');
  });
});

describe('files', () => {
  const next = new SourceFile('binlog.000008', SourceFile.fixture('mysql-9.7', 'tagged-gtids').bytes);

  test('one after the other, each in a relay file of its own', () => {
    receive(
      intake(),
      new DumpBytes().file(transactions).rotate(next.name, 4, 'crc32', false).file(next).bytes,
    );
    expectHolds(transactions, next);
    expect(relay.numbers()).toHaveLength(2);
  });

  test('one that ends inside of a transaction loses that one, with a warning', () => {
    const cutAt = transactions.events.findLastIndex(({ place }) => place === 'inside');
    receive(intake(), new DumpBytes().file(transactions, 0, cutAt).file(next).bytes);
    expect(warnings).toHaveLength(1);
    const whole = transactions.events.slice(0, cutAt).filter(({ place }) => place === 'end').length;
    expect(readAll(relay.cursor())).toHaveLength(whole + next.transactions().length);
  });

  test('one that was closed in order cannot end inside of a transaction', () => {
    const cutAt = transactions.events.findLastIndex(({ place }) => place === 'inside');
    const dump = new DumpBytes().file(transactions, 0, cutAt).rotate(next.name, 4, 'crc32', false);
    expect(() => receive(intake(), dump.bytes)).toThrow('ROTATE_EVENT');
  });

  test.each(['../../etc/passwd', 'a/b', '..', 'a\0b', `${'x'.repeat(300)}.000001`, 'a\\b'])(
    'the name %j is refused',
    (name) => {
      expect(() => receive(intake(), new DumpBytes().rotate(name).bytes)).toThrow(
        expect.objectContaining({ code: 'MALFORMED_EVENT' }),
      );
    },
  );
});

describe('heartbeats', () => {
  const end = endOf(transactions);

  test.each(['heartbeat', 'heartbeatV2'] as const)(
    '%s at our position proves that nothing is missing',
    (kind) => {
      const into = intake();
      const packets = new PacketReader(into);
      const dump = new DumpBytes().file(transactions);
      packets.push(dump.bytes);
      expect(into.caughtUp).toBe(false);
      packets.push(new DumpBytes()[kind](transactions.name, end).bytes);
      expect(into.caughtUp).toBe(true);
    },
  );

  test('a later position is taken over, and proves something only when it is told again', () => {
    const into = intake();
    const packets = new PacketReader(into);
    packets.push(new DumpBytes().file(transactions).bytes);
    packets.push(new DumpBytes().heartbeatV2(transactions.name, end + 5000).bytes);
    expect(into.caughtUp).toBe(false);
    expect(into.sourcePosition).toBe(end + 5000);
    packets.push(new DumpBytes().heartbeatV2(transactions.name, end + 5000).bytes);
    expect(into.caughtUp).toBe(true);
  });

  test('another file, an earlier position or an open transaction prove nothing', () => {
    const into = intake();
    const packets = new PacketReader(into);
    packets.push(new DumpBytes().file(transactions).bytes);
    packets.push(new DumpBytes().heartbeat('binlog.000009', end).bytes);
    expect(into.caughtUp).toBe(false);
    packets.push(new DumpBytes().heartbeat(transactions.name, end - 1).bytes);
    expect(into.caughtUp).toBe(false);
    const first = transactions.events.findIndex(({ place }) => place === 'begin');
    const half = intake();
    new PacketReader(half).push(
      new DumpBytes()
        .file(transactions, 0, first + 1)
        .heartbeat(transactions.name, transactions.events[first]!.sourceEnd).bytes,
    );
    expect(half.caughtUp).toBe(false);
  });

  test('an event ends the proof', () => {
    const into = intake();
    const packets = new PacketReader(into);
    const first = transactions.events.findIndex(({ place }) => place === 'begin');
    const dump = new DumpBytes().file(transactions, 0, first);
    packets.push(dump.heartbeat(transactions.name, transactions.events[first - 1]!.sourceEnd).bytes);
    expect(into.caughtUp).toBe(true);
    packets.push(new DumpBytes().events(transactions, first, first + 1).bytes);
    expect(into.caughtUp).toBe(false);
  });
});

describe('what a source must not send', () => {
  const event = (): Buffer => {
    const { start, end } = transactions.events[1]!;
    return Buffer.from(transactions.bytes.subarray(start, end));
  };

  test.each<[string, () => DumpBytes, string]>([
    ['an event before any file', () => new DumpBytes().event(event()), 'PROTOCOL'],
    ['a file description before any name', () => new DumpBytes().event(transactions.rawFde), 'PROTOCOL'],
    ['an empty packet', () => new DumpBytes().packet(Buffer.alloc(0)), 'PROTOCOL'],
    ['a packet of another kind', () => new DumpBytes().packet(Buffer.from([0x42, 1, 2])), 'PROTOCOL'],
    ['a header cut short', () => new DumpBytes().packet(Buffer.alloc(12)), 'PROTOCOL'],
    [
      'a length that is not the packet',
      () => {
        const wrong = event();
        wrong.writeUInt32LE(wrong.length + 1, 9);
        return new DumpBytes().file(transactions, 0, 1).event(wrong);
      },
      'PROTOCOL',
    ],
    [
      'a flipped bit',
      () => {
        const wrong = event();
        wrong[25]! ^= 1;
        return new DumpBytes().file(transactions, 0, 1).event(wrong);
      },
      'CHECKSUM_MISMATCH',
    ],
    [
      'a flipped bit in the file description',
      () => {
        const wrong = Buffer.from(transactions.rawFde);
        wrong[30]! ^= 1;
        return new DumpBytes().rotate(transactions.name).event(wrong);
      },
      'CHECKSUM_MISMATCH',
    ],
    [
      'the same transaction again',
      () => new DumpBytes().file(transactions).events(transactions),
      'UNEXPECTED_EVENT',
    ],
    [
      'an unknown event',
      () => new DumpBytes().file(transactions, 0, 1).event(sealedEvent(99, Buffer.alloc(5))),
      'UNKNOWN_EVENT',
    ],
    [
      'an incident',
      () =>
        new DumpBytes()
          .file(transactions, 0, 1)
          .event(sealedEvent(EventType.INCIDENT_EVENT, Buffer.from([1, 0, 0]))),
      'SOURCE_INCIDENT',
    ],
    ['the end of the dump', () => new DumpBytes().packet(Buffer.from([0xfe, 0, 0, 2, 0])), 'CONNECTION_LOST'],
    [
      'an error',
      () =>
        new DumpBytes().packet(
          Buffer.concat([Buffer.from([0xff, 0xd4, 0x04]), Buffer.from('#HY000bogus data in log event')]),
        ),
      'SOURCE_DAMAGED',
    ],
  ])('%s', (_name, dump, code) => {
    let thrown: unknown = null;
    try {
      receive(intake(), dump().bytes);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code });
  });

  test('an event without its semi-sync mark', () => {
    const { bytes } = new DumpBytes(false).file(transactions);
    expect(() => receive(intake('gtid', { semiSync: true }), bytes)).toThrow('semi-sync');
  });
});

describe('a dump that begins in the file that we have read from before', () => {
  const format = transactions.bytes.subarray(4);
  const known = knownLog({ file: transactions.name, position: 4 }, format);
  const { bytes } = new DumpBytes().file(transactions);

  test('goes on when that file was made when ours was', () => {
    receive(intake('gtid', { known }), bytes);
    expectHolds(transactions);
  });

  test('is refused when the file was made anew: the binary logs were reset', () => {
    const other = intake('gtid', { known: { ...known, madeAt: known.madeAt - 60 } });
    expect(() => receive(other, bytes)).toThrow(expect.objectContaining({ code: 'SOURCE_BEHIND' }));
    expect(other.transactions).toBe(0);
  });

  test('of another name, or of another server, says nothing of ours', () => {
    const place = { file: 'binlog.000006', position: 4 };
    receive(intake('gtid', { known: { ...known, madeAt: 1, place } }), bytes);
    writer.reset();
    receive(intake('gtid', { known: { ...known, madeAt: 1, serverId: known.serverId + 1 } }), bytes);
  });
});
