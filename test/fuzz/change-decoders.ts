/**
 * What a transaction changes, read out of damaged events: what guards and `millrace find` look at. Damage may not end it: it is
 * told as unreadable, and the events behind it are still looked at. And rows on disk are counted as those in memory are.
 */
import { MillraceError } from '../../src/base/errors.ts';
import { EVENT_HEADER_LENGTH, EventType } from '../../src/binlog/event-header.ts';
import type { FormatDescription } from '../../src/binlog/format-description.ts';
import { countOversizedRows } from '../../src/binlog/oversized-rows.ts';
import { countRowsAfter } from '../../src/binlog/row-images.ts';
import { isRowsEvent, rowsHeader } from '../../src/binlog/rows-event.ts';
import { decodeTableMap, type TableMap } from '../../src/binlog/table-map.ts';
import { type ChangeListener, ChangeReader, type LoggedStatement } from '../../src/rules/change-reader.ts';
import { GuardWatch } from '../../src/rules/guard-watch.ts';
import { type Corpus, FLAVOURS, runsOf } from './corpus.ts';
import { descriptionOf, windows } from './event-decoders.ts';
import { forEachEvent, shuffleRun } from './event-run.ts';
import type { FuzzDecoder } from './fuzzer.ts';
import { mutate } from './mutator.ts';

export function changeDecoders(corpus: Corpus): FuzzDecoder[] {
  return FLAVOURS.flatMap((flavour) => {
    const fde = descriptionOf(corpus, flavour);
    if (fde === null) return [];
    const seeds = runsOf(corpus, flavour).flatMap(({ events }) => windows(events));
    const damage: FuzzDecoder['mutate'] = (random, seeds) =>
      random.oneIn(2) ? mutate(random, seeds) : shuffleRun(random, seeds);
    return [
      {
        name: `changes-${flavour}`,
        weight: 2,
        seeds,
        mutate: damage,
        run: (buf: Buffer, start: number, end: number) => {
          const seen = new Seen();
          const reader = new ChangeReader(seen, null);
          const watch = new GuardWatch([
            { is: 'drop_table' },
            { is: 'delete_rows_over', rows: 1 },
            { is: 'alter', table: 'shop.%' },
          ]);
          const guarded = new ChangeReader(watch, null);
          watch.begin();
          forEachEvent(buf, start, end, (from, to) => {
            if (to - from < EVENT_HEADER_LENGTH) return;
            const event = { buf, start: from, end: to, type: buf[from + 4]!, fde, oversized: null };
            reader.take(event);
            guarded.take(event);
          });
          return [seen.told, watch.end()];
        },
      },
      {
        name: `rows-on-disk-${flavour}`,
        weight: 1,
        seeds,
        mutate: damage,
        run: (buf: Buffer, start: number, end: number) => countedTwice(buf, start, end, fde),
      },
    ];
  });
}

/** Rows in memory and on disk: the same number, or both are malformed. */
function countedTwice(buf: Buffer, start: number, end: number, fde: FormatDescription): unknown[] {
  const counts: unknown[] = [];
  let map: TableMap | null = null;
  forEachEvent(buf, start, end, (from, to) => {
    const body = Math.min(to, from + EVENT_HEADER_LENGTH);
    const type = to - from > 4 ? buf[from + 4]! : 0;
    if (type === EventType.TABLE_MAP_EVENT) map = decodeTableMap(buf, body, to);
    if (map === null || !isRowsEvent(type)) return;
    const table: TableMap = map;
    const header = rowsHeader(buf, body, to, type, fde.postHeaderLengths);
    const event = buf.subarray(from, to);
    const bytes = {
      length: event.length,
      read: (offset: number, length: number) => event.subarray(offset, offset + length),
    };
    const inMemory = outcome(() => countRowsAfter(table, buf, header, to));
    const onDisk = outcome(() => countOversizedRows(table, buf, from, header, bytes));
    if (inMemory !== onDisk) throw new Error(`${inMemory} in memory, ${onDisk} on disk`);
    counts.push(inMemory);
  });
  return counts;
}

function outcome(count: () => number): number | string {
  try {
    return count();
  } catch (error) {
    if (error instanceof MillraceError) return error.code;
    throw error;
  }
}

class Seen implements ChangeListener {
  readonly operations = new Set(['insert', 'update', 'delete'] as const);
  readonly told: unknown[] = [];

  rows(...facts: unknown[]): void {
    this.told.push(facts);
  }

  statement({ buf, start, end, database, dialect }: LoggedStatement): void {
    this.told.push([buf.toString('latin1', start, end), database, dialect]);
  }

  text(buf: Buffer, start: number, end: number): void {
    this.told.push(buf.toString('latin1', start, end));
  }

  unreadable(why: string): void {
    this.told.push(why);
  }
}
