import { crc32 as zlibCrc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32, sealEvent, verifyEvent } from '../../../src/binlog/checksum.ts';
import { EventFlag, EventType } from '../../../src/binlog/event-header.ts';
import { buildEvent } from '../../support/binlog-builder.ts';
import { readFixture } from '../../support/binlog-fixture.ts';

const sealed = (event: Buffer): Buffer => {
  const whole = Buffer.concat([event, Buffer.alloc(4)]);
  whole.writeUInt32LE(whole.length, 9);
  sealEvent(whole, 0, whole.length);
  return whole;
};

describe('crc32', () => {
  test('is that of zlib at every length around the switch to native code, and continues from a seed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(600), fc.nat(600), (bytes, a, b) => {
        const buf = Buffer.from(bytes);
        const start = Math.min(a, b, buf.length);
        const end = Math.min(Math.max(a, b), buf.length);
        const expected = zlibCrc32(buf.subarray(start, end));
        expect(crc32(buf, start, end)).toBe(expected);
        const middle = start + ((end - start) >> 1);
        expect(crc32(buf, middle, end, crc32(buf, start, middle))).toBe(expected);
      }),
    );
  });

  test('gives the check value of the polynomial', () => {
    expect(crc32(Buffer.from('123456789'), 0, 9)).toBe(0xcbf43926);
    expect(crc32(Buffer.alloc(0), 0, 0)).toBe(0);
  });
});

describe('events', () => {
  test('a sealed event verifies, and no changed byte does', () => {
    const event = sealed(buildEvent(EventType.XID_EVENT, Buffer.from('12345678')));
    expect(verifyEvent(event, 0, event.length)).toBe(true);
    for (let at = 0; at < event.length; at++) {
      const damaged = Buffer.from(event);
      damaged[at]! ^= 0x10;
      expect(verifyEvent(damaged, 0, damaged.length)).toBe(false);
    }
  });

  test('an event in the middle of a buffer is verified by its own bytes', () => {
    const event = sealed(buildEvent(EventType.STOP_EVENT));
    const buf = Buffer.concat([Buffer.alloc(7, 0xaa), event, Buffer.alloc(9, 0xbb)]);
    expect(verifyEvent(buf, 7, 7 + event.length)).toBe(true);
    expect(verifyEvent(buf, 7, 8 + event.length)).toBe(false);
  });

  test('what is too short for a checksum, or reaches out of the buffer, does not verify', () => {
    const event = sealed(buildEvent(EventType.STOP_EVENT));
    expect(verifyEvent(event, 0, 22)).toBe(false);
    expect(verifyEvent(event, 0, event.length + 1)).toBe(false);
    expect(verifyEvent(event, -1, event.length)).toBe(false);
  });

  test('the checksum of a format description does not change when its file is closed', () => {
    const { bytes, events } = readFixture('mysql-9.7/gtid-transactions.binlog');
    const event = Buffer.from(bytes.subarray(events[0]!.start, events[0]!.next));
    for (const flags of [0, EventFlag.IN_USE]) {
      event.writeUInt16LE(flags, 17);
      expect(verifyEvent(event, 0, event.length)).toBe(true);
      sealEvent(event, 0, event.length);
      expect(event.readUInt32LE(event.length - 4)).toBe(0x0758573a);
    }
    event.writeUInt16LE(EventFlag.ARTIFICIAL, 17);
    expect(verifyEvent(event, 0, event.length)).toBe(false);
  });

  test('only a format description has that liberty', () => {
    const event = sealed(buildEvent(EventType.STOP_EVENT));
    event[17]! ^= EventFlag.IN_USE;
    expect(verifyEvent(event, 0, event.length)).toBe(false);
  });
});
