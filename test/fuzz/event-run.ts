/**
 * Several events as one input: events back to back, each as long as its header says. After damage the lengths lie: then
 * the rest of the input is one event.
 */
import type { Random } from './random.ts';

const HEADER_LENGTH = 19;

/** Calls back with the border of every event, in order. */
export function forEachEvent(
  buf: Buffer,
  start: number,
  end: number,
  visit: (start: number, end: number) => void,
): void {
  for (let at = start; at < end; ) {
    const length = end - at >= HEADER_LENGTH ? buf.readUInt32LE(at + 9) : 0;
    const next = length < HEADER_LENGTH || length > end - at ? end : at + length;
    visit(at, next);
    at = next;
  }
}

export function splitRun(input: Buffer): Buffer[] {
  const events: Buffer[] = [];
  forEachEvent(input, 0, input.length, (start, end) => void events.push(input.subarray(start, end)));
  return events;
}

/** Events as a run: a header's length field tells the length that the event has here, without a CRC. */
export function joinRun(events: readonly Buffer[]): Buffer {
  const copies = events.map((event) => Buffer.from(event));
  for (const copy of copies) if (copy.length >= HEADER_LENGTH) copy.writeUInt32LE(copy.length, 9);
  return Buffer.concat(copies);
}

/** Whole events leave, come twice, change places, come from another run, or change their type: damage to the grammar. */
export function shuffleRun(random: Random, seeds: readonly Buffer[]): Buffer {
  const events = splitRun(random.pick(seeds));
  for (let changes = 1 + random.skewed(4); changes > 0; changes--) {
    const at = random.below(events.length);
    switch (random.below(6)) {
      case 0:
        events.splice(at, 1);
        break;
      case 1:
        events.splice(at, 0, events[random.below(events.length)] ?? Buffer.alloc(0));
        break;
      case 2:
        events.reverse();
        break;
      case 3:
        events.splice(at, random.below(3), random.pick(splitRun(random.pick(seeds))));
        break;
      case 4:
        events.splice(at, events.length, ...splitRun(random.pick(seeds)));
        break;
      default: {
        const event = Buffer.from(events[at] ?? Buffer.alloc(HEADER_LENGTH));
        if (event.length > 4) event[4] = random.oneIn(2) ? random.below(43) : random.u32();
        events[at] = event;
      }
    }
  }
  return joinRun(events.slice(0, 64));
}
