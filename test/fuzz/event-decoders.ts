/**
 * Format descriptions, checksums, control events, statements, and the grammar of a transaction.
 */
import { verifyEvent } from '../../src/binlog/checksum.ts';
import { type BinlogEvent, decodeEvent } from '../../src/binlog/decode-event.ts';
import { EVENT_HEADER_LENGTH, EventType } from '../../src/binlog/event-header.ts';
import {
  decodeFormatDescription,
  type FormatDescription,
  neutralFormatDescription,
} from '../../src/binlog/format-description.ts';
import { GtidSet } from '../../src/binlog/gtid-set.ts';
import { decodeQuery, queryVerb } from '../../src/binlog/query-event.ts';
import { TransactionBoundary } from '../../src/binlog/transaction-boundary.ts';
import { type Corpus, eventsOfType, FLAVOURS, runsOf } from './corpus.ts';
import { forEachEvent, joinRun, shuffleRun } from './event-run.ts';
import type { FuzzDecoder } from './fuzzer.ts';
import { mutate } from './mutator.ts';

/** Events in one input of the grammar. */
const RUN_LENGTH = 12;
const RUN_BYTES_MAX = 8 * 1024;

export function eventDecoders(corpus: Corpus): FuzzDecoder[] {
  return [formatDescriptions(corpus), ...events(corpus), ...statements(corpus), ...grammar(corpus)];
}

/** The first description of each flavour: what the other decoders are told about the file. */
export function descriptionOf(corpus: Corpus, flavour: 'mysql' | 'mariadb'): FormatDescription | null {
  const run = runsOf(corpus, flavour)[0];
  return run === undefined
    ? null
    : decodeFormatDescription(run.formatDescription, 0, run.formatDescription.length);
}

function formatDescriptions(corpus: Corpus): FuzzDecoder {
  return {
    name: 'format-description',
    weight: 1,
    seeds: corpus.runs.map((run) => run.formatDescription),
    run: (buf, start, end) => {
      const description = decodeFormatDescription(buf, start, end);
      const whole = verifyEvent(buf, start, end);
      const neutral = neutralFormatDescription(buf.subarray(start, end));
      return [description, whole, neutral];
    },
  };
}

/** Every type of the corpus through the one switch; the type byte itself is damaged like any other. */
function events(corpus: Corpus): FuzzDecoder[] {
  return FLAVOURS.flatMap((flavour) => {
    const description = descriptionOf(corpus, flavour);
    if (description === null) return [];
    return [
      {
        name: `event-${flavour}`,
        weight: 4,
        seeds: eventsOfType(corpus, Object.values(EventType), 40, flavour),
        run: (buf: Buffer, start: number, end: number) =>
          comparable(decodeEvent(buf, start, end, description)),
      },
    ];
  });
}

/** A set shows nothing to a deep comparison; its text does. */
function comparable(event: BinlogEvent): unknown {
  return Object.entries(event).map(([key, value]) => [
    key,
    value instanceof GtidSet ? value.toString() : value,
  ]);
}

function statements(corpus: Corpus): FuzzDecoder[] {
  return FLAVOURS.flatMap((flavour) => {
    const description = descriptionOf(corpus, flavour);
    if (description === null) return [];
    return [
      {
        name: `query-${flavour}`,
        weight: 1,
        seeds: eventsOfType(corpus, [EventType.QUERY_EVENT], 200, flavour).map((each) =>
          each.subarray(EVENT_HEADER_LENGTH),
        ),
        run: (buf: Buffer, start: number, end: number) => [
          queryVerb(buf, start, end),
          decodeQuery(buf, start, end, description),
        ],
      },
    ];
  });
}

/** Runs of events, damaged as events (order, doubles, types) or as bytes. */
function grammar(corpus: Corpus): FuzzDecoder[] {
  return FLAVOURS.flatMap((flavour) => {
    const description = descriptionOf(corpus, flavour);
    if (description === null) return [];
    const seeds = runsOf(corpus, flavour).flatMap((run) => windows(run.events));
    return [
      {
        name: `transaction-boundary-${flavour}`,
        weight: 2,
        seeds,
        mutate: (random, seeds) => {
          const run = random.oneIn(4) ? mutate(random, seeds) : shuffleRun(random, seeds);
          return random.oneIn(4) ? mutate(random, [run]) : run;
        },
        run: (buf, start, end) => {
          const boundary = new TransactionBoundary(description);
          const places: unknown[] = [];
          forEachEvent(buf, start, end, (from, to) => {
            const place = boundary.feed(buf, from, to);
            const open = place === 'begin' || place === 'inside';
            if (boundary.open !== open && place !== 'between')
              throw new Error(`${place} leaves open=${boundary.open}`);
            places.push(place, place === 'end' ? { ...boundary.head } : null);
          });
          return places;
        },
      } satisfies FuzzDecoder,
    ];
  });
}

/** Overlapping stretches of a file, each short enough to be damaged in the middle of everything. */
export function windows(events: readonly Buffer[]): Buffer[] {
  const out: Buffer[] = [];
  for (let at = 0; at < events.length && out.length < 400; at += RUN_LENGTH / 3) {
    const part: Buffer[] = [];
    let bytes = 0;
    for (const event of events.slice(at, at + RUN_LENGTH)) {
      bytes += event.length;
      if (bytes > RUN_BYTES_MAX) break;
      part.push(event);
    }
    if (part.length > 0) out.push(joinRun(part));
  }
  return out;
}
