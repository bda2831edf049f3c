import { describe, expect, test } from 'vitest';
import { BufferPool } from '../../../src/applier/buffer-pool.ts';

const KIB = 1024;

function pool(): BufferPool {
  return new BufferPool({ roundedTo: 16 * KIB, idleBytesMax: 1024 * KIB, longerMax: 1.5 });
}

describe('the pool of buffers', () => {
  test('gives out what was given back, where it is not much too long', () => {
    const buffers = pool();
    const first = buffers.borrow(100 * KIB);
    buffers.giveBack(first.subarray(10, 20));
    expect(buffers.borrow(400 * KIB).buffer).not.toBe(first.buffer);
    expect(buffers.borrow(20 * KIB).buffer).not.toBe(first.buffer);
    expect(buffers.borrow(90 * KIB).buffer).toBe(first.buffer);
  });

  test('is of use again when lengths have changed: what has lain idle longest makes room', () => {
    const buffers = pool();
    const short = Array.from({ length: 8 }, () => buffers.borrow(128 * KIB));
    for (const each of short) buffers.giveBack(each);
    const long = [buffers.borrow(512 * KIB), buffers.borrow(512 * KIB)];
    for (const each of long) buffers.giveBack(each);
    const again = new Set([buffers.borrow(512 * KIB).buffer, buffers.borrow(512 * KIB).buffer]);
    expect(again).toEqual(new Set(long.map(({ buffer }) => buffer)));
  });

  test('keeps no more than it may, and nothing longer than that', () => {
    const buffers = pool();
    const many = Array.from({ length: 20 }, () => buffers.borrow(128 * KIB));
    for (const each of many) buffers.giveBack(each);
    const old = new Set(many.map(({ buffer }) => buffer));
    const again = Array.from({ length: 20 }, () => buffers.borrow(128 * KIB));
    expect(again.filter(({ buffer }) => old.has(buffer))).toHaveLength(8);
    const huge = buffers.borrow(2048 * KIB);
    buffers.giveBack(huge);
    expect(buffers.borrow(2048 * KIB).buffer).not.toBe(huge.buffer);
  });
});
