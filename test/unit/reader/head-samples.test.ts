import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePositionSet } from '../../../src/binlog/position-set.ts';
import { comparePlaces, HeadSamples } from '../../../src/reader/head-samples.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const at = (position: number, file = 'binlog.000042') => ({ file, position });
const upTo = (n: number) => parsePositionSet('gtid', `${UUID}:1-${n}`);

describe('what is missing of the source', () => {
  test('nothing is known before the first look', () => {
    expect(new HeadSamples().ages({ place: at(4), set: null }, 1000)).toEqual({
      proofAgeMs: null,
      missingAgeMs: null,
    });
  });

  test('a look that is reached is the proof, as old as the moment it was begun', () => {
    const samples = new HeadSamples();
    samples.add({ begunMs: 1000, place: at(100), set: null });
    expect(samples.ages({ place: at(100), set: null }, 1250)).toEqual({
      proofAgeMs: 250,
      missingAgeMs: null,
    });
  });

  test('what a look sees first was committed after the look before it', () => {
    const samples = new HeadSamples();
    samples.add({ begunMs: 1000, place: at(100), set: null });
    samples.add({ begunMs: 2000, place: at(200), set: null });
    samples.add({ begunMs: 3000, place: at(300), set: null });
    expect(samples.ages({ place: at(150), set: null }, 3500)).toEqual({
      proofAgeMs: 2500,
      missingAgeMs: 2500,
    });
    expect(samples.ages({ place: at(200), set: null }, 4000)).toEqual({
      proofAgeMs: 2000,
      missingAgeMs: 2000,
    });
    expect(samples.ages({ place: at(300), set: null }, 4000)).toEqual({
      proofAgeMs: 1000,
      missingAgeMs: null,
    });
  });

  test('it is never told to be 0 old, also at the moment of the look', () => {
    const samples = new HeadSamples();
    samples.add({ begunMs: 1000, place: at(200), set: null });
    expect(samples.ages({ place: at(100), set: null }, 1000).missingAgeMs).toBeGreaterThan(0);
  });

  test('before any proof it is a little older than the first look', () => {
    const samples = new HeadSamples();
    samples.add({ begunMs: 10_000, place: at(200), set: null });
    expect(samples.ages({ place: at(100), set: null }, 10_100).missingAgeMs).toBe(1_600);
  });

  test('after a long time without a look nobody knows, and the longest that is possible is told', () => {
    const samples = new HeadSamples();
    samples.proven(0);
    samples.add({ begunMs: 60_000, place: at(200), set: null });
    expect(samples.ages({ place: at(100), set: null }, 60_100).missingAgeMs).toBe(60_100);
  });

  test('a set that is there proves it where positions cannot: after a failover, or without the privilege', () => {
    const samples = new HeadSamples();
    samples.add({ begunMs: 1000, place: at(100, 'other.000001'), set: upTo(10) });
    samples.add({ begunMs: 2000, place: null, set: upTo(20) });
    expect(samples.ages({ place: at(100), set: upTo(10) }, 2100)).toEqual({
      proofAgeMs: 1100,
      missingAgeMs: 1100,
    });
    expect(samples.ages({ place: at(100), set: upTo(25) }, 2100).missingAgeMs).toBeNull();
  });

  test('a head that was reset, or that another server tells, is not reached by the name of its file alone', () => {
    const other = '4f22fa47-71ca-11e1-9e33-c80aa9429562';
    const samples = new HeadSamples();
    const set = parsePositionSet('gtid', `${UUID}:1-10,${other}:1-5`);
    samples.add({ begunMs: 1000, place: at(500, 'binlog.000003'), set });
    expect(samples.ages({ place: at(4000), set: upTo(10) }, 1500).missingAgeMs).not.toBeNull();
  });

  test('a doubt takes back what heartbeats have proven since the last sound look, until the next one', () => {
    const samples = new HeadSamples();
    const received = { place: at(100), set: null };
    samples.add({ begunMs: 1000, place: at(100), set: null });
    samples.proven(1900);
    expect(samples.ages(received, 2000).proofAgeMs).toBe(100);
    samples.doubt();
    samples.proven(2400);
    expect(samples.ages(received, 2500)).toEqual({ proofAgeMs: 1500, missingAgeMs: null });
    samples.add({ begunMs: 3000, place: at(100), set: null });
    expect(samples.doubted).toBe(false);
    expect(samples.ages(received, 3100).proofAgeMs).toBe(100);
  });

  test('another source begins anew', () => {
    const samples = new HeadSamples();
    samples.proven(500);
    samples.add({ begunMs: 1000, place: at(200), set: null });
    samples.clear();
    expect(samples.ages({ place: at(100), set: null }, 1100)).toEqual({
      proofAgeMs: null,
      missingAgeMs: null,
    });
  });

  test('however long nothing comes, the oldest look is kept and memory is bounded', () => {
    const samples = new HeadSamples();
    samples.proven(0);
    for (let i = 1; i <= 100_000; i++) samples.add({ begunMs: i * 1000, place: at(100 + i), set: null });
    expect(samples.ages({ place: at(100), set: null }, 100_000_000).missingAgeMs).toBe(100_000_000);
    // Caught up with half of it, the age is still not below the truth, which is the age of what is missing first.
    const { missingAgeMs } = samples.ages({ place: at(50_000), set: null }, 100_000_000);
    expect(missingAgeMs).toBeGreaterThanOrEqual(49_900_000);
  });

  test('the age told is never below that of what is missing, whatever is received when', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 2, maxLength: 200 }),
        fc.integer({ min: 0, max: 1000 }),
        (growth, share) => {
          const samples = new HeadSamples();
          samples.proven(0);
          // Committed at (i + 0.5) s, seen by the look at i + 1 s.
          let head = 0;
          const committedMs: number[] = [];
          for (const [index, count] of growth.entries()) {
            for (let n = 0; n < count; n++) committedMs.push(index * 1000 + 500);
            head += count;
            samples.add({ begunMs: (index + 1) * 1000, place: at(head), set: null });
          }
          const received = Math.floor((head * share) / 1000);
          const now = growth.length * 1000 + 100;
          const { missingAgeMs } = samples.ages({ place: at(received), set: null }, now);
          if (received === head) expect(missingAgeMs).toBeNull();
          else expect(missingAgeMs).toBeGreaterThanOrEqual(now - committedMs[received]! - 1e-6);
        },
      ),
    );
  });

  test('places are compared by the number of the file, not by its text', () => {
    expect(comparePlaces(at(4, 'binlog.999999'), at(4, 'binlog.1000000'))).toBeLessThan(0);
    expect(comparePlaces(at(8), at(4))).toBeGreaterThan(0);
    expect(comparePlaces(at(4, 'a.000001'), at(4, 'b.000001'))).toBeNull();
  });
});
