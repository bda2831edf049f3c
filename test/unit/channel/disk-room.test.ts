import { mkdirSync, statfsSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { delayBudget, diskRoom, RoomWatch, tooLongADelay } from '../../../src/channel/disk-room.ts';
import { relayLogGrowth } from '../../../src/relay/relay-log-rate.ts';
import { temporaryFolder } from '../../support/repository.ts';
import { relayLogOf } from './relay-log-of-commits.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const MONTH = 30 * DAY;
const MIB = 1024 ** 2;
const BEGIN = Math.floor(Date.now() / 1000) - 10 * 86_400;

let dataDir: string;
let relayDir: string;

beforeEach(() => {
  dataDir = temporaryFolder('room');
  relayDir = join(dataDir, 'orders');
});

describe('the growth of the relay log', () => {
  test('is what lies between the first transactions of its first and its last file', async () => {
    await relayLogOf(relayDir, [
      { seconds: BEGIN, bytes: 2 * MIB },
      { seconds: BEGIN + 3600, bytes: 2 * MIB },
      { seconds: BEGIN + 7200, bytes: MIB },
    ]);
    // A file that has just begun stands behind these three.
    const { heldBytes, bytesPerSecond } = relayLogGrowth(relayDir);
    expect(heldBytes / MIB).toBeCloseTo(5, 1);
    expect(bytesPerSecond).toBeCloseTo((4 * MIB) / 7200, -1);
  });

  test('in one file ends when it was last written', async () => {
    const [path] = await relayLogOf(relayDir, [{ seconds: BEGIN, bytes: 2 * MIB }]);
    utimesSync(path!, BEGIN + 3600, BEGIN + 3600);
    expect(relayLogGrowth(relayDir).bytesPerSecond).toBeCloseTo((2 * MIB) / 3600, -1);
  });

  test('is not known from ten minutes, or from nothing', async () => {
    expect(relayLogGrowth(relayDir)).toEqual({ heldBytes: 0, bytesPerSecond: null });
    const [path] = await relayLogOf(relayDir, [{ seconds: BEGIN, bytes: 2 * MIB }]);
    utimesSync(path!, BEGIN + 599, BEGIN + 599);
    expect(relayLogGrowth(relayDir).bytesPerSecond).toBeNull();
  });
});

describe('the room on the disk', () => {
  test('is what is free and what the relay log has', async () => {
    await relayLogOf(relayDir, [
      { seconds: BEGIN, bytes: 2 * MIB },
      { seconds: BEGIN + 3600, bytes: MIB },
    ]);
    const room = diskRoom(dataDir, 'orders')!;
    const { bavail, bsize } = statfsSync(dataDir);
    expect(Math.abs(room.freeBytes - bavail * bsize)).toBeLessThan(1024 * MIB);
    expect(room.holdsMs).toBeCloseTo(((room.freeBytes + room.heldBytes) / room.bytesPerSecond!) * 1000, 0);
  });

  test('is that of the folder above while data_dir is not there', () => {
    const room = diskRoom(join(dataDir, 'not', 'yet'), 'orders')!;
    expect(room.freeBytes).toBeGreaterThan(0);
    expect(room).toMatchObject({ heldBytes: 0, bytesPerSecond: null, holdsMs: null });
  });

  test('is not judged by a relay log that cannot be read', () => {
    mkdirSync(relayDir);
    writeFileSync(join(relayDir, 'relay-bin.index'), './relay-bin.000001\n');
    writeFileSync(join(relayDir, 'relay-bin.000001'), 'no binary log');
    expect(diskRoom(dataDir, 'orders')).toMatchObject({ bytesPerSecond: null, holdsMs: null });
  });

  const DAY_OF_ROOM = {
    freeBytes: 80 * 1024 * MIB,
    heldBytes: 4 * 1024 * MIB,
    bytesPerSecond: MIB,
    holdsMs: (84 * 1024 * 1000) as number,
  };

  test('says in one line that a month does not fit where a day does', () => {
    expect(tooLongADelay(DAY_OF_ROOM, MONTH)).toBe(
      'the disk does not hold a delay of 30d: at 1.0 MiB/s the relay log would take 2.5 TiB, and there is room for 23.9 h (80.0 GiB free, 4.0 GiB held)',
    );
    expect(tooLongADelay(DAY_OF_ROOM, 23 * HOUR)).toBeNull();
  });

  test('says nothing of a delay where nothing is known', () => {
    expect(tooLongADelay({ ...DAY_OF_ROOM, bytesPerSecond: null, holdsMs: null }, MONTH)).toBeNull();
    expect(tooLongADelay(null, MONTH)).toBeNull();
  });

  test('says what the source may write', () => {
    expect(delayBudget({ ...DAY_OF_ROOM, bytesPerSecond: null, holdsMs: null }, MONTH)).toBe(
      '80.0 GiB free hold it while the source writes less than 34.0 KiB/s',
    );
    expect(delayBudget(DAY_OF_ROOM, DAY)).toBe(
      '80.0 GiB free hold it while the source writes less than 1019 KiB/s, and it writes 1.0 MiB/s',
    );
  });

  test('is said once when the delay stops to fit, and again only after it fitted', async () => {
    await relayLogOf(relayDir, [
      { seconds: BEGIN, bytes: 2 * MIB },
      { seconds: BEGIN + 3600, bytes: MIB },
    ]);
    const lines: string[] = [];
    const watch = new RoomWatch(dataDir, 'orders', { wallMs: () => 0, monotonicMs: () => 0 });
    const say = (line: string): void => void lines.push(line);
    watch.begin(() => DAY, say);
    watch.end();
    expect(lines).toEqual([]);
    watch.begin(() => 1e15, say);
    watch.end();
    watch.begin(() => 1e15, say);
    watch.end();
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('the disk does not hold a delay of');
  });
});
