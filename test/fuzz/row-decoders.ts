/**
 * Table maps, rows, values and JSON. A rows event is fuzzed with its table map in front, as it travels.
 */
import { tableDecoder } from '../../src/binlog/column-values.ts';
import { EVENT_HEADER_LENGTH, EventType } from '../../src/binlog/event-header.ts';
import type { Flavour } from '../../src/binlog/format-description.ts';
import { decodeJsonDiffs } from '../../src/binlog/json-diff.ts';
import { jsonText } from '../../src/binlog/json-value.ts';
import { countRows } from '../../src/binlog/row-images.ts';
import { decodeRows } from '../../src/binlog/row-values.ts';
import { isRowsEvent } from '../../src/binlog/rows-event.ts';
import { decodeTableMap, type TableMap, tableMapNames } from '../../src/binlog/table-map.ts';
import { type Corpus, eventsOfType, runsOf } from './corpus.ts';
import { forEachEvent, joinRun } from './event-run.ts';
import type { FuzzDecoder } from './fuzzer.ts';

export function rowDecoders(corpus: Corpus): FuzzDecoder[] {
  return [
    tableMaps(corpus),
    ...(['mysql', 'mariadb'] as const).flatMap((flavour) => rows(corpus, flavour)),
    jsonDocuments(corpus),
    jsonDifferences(corpus),
  ];
}

function tableMaps(corpus: Corpus): FuzzDecoder {
  return {
    name: 'table-map',
    weight: 1,
    seeds: eventsOfType(corpus, [EventType.TABLE_MAP_EVENT], 200).map((event) =>
      event.subarray(EVENT_HEADER_LENGTH),
    ),
    run: (buf, start, end) => {
      const names = tableMapNames(buf, start, end);
      const map = decodeTableMap(buf, start, end);
      const columns = [tableDecoder(map, 'mysql'), tableDecoder(map, 'mariadb')].map(
        (decoder) => decoder.metadata,
      );
      return [names, map, columns];
    },
  };
}

/** Two decoders over the same inputs: walking rows by their lengths, and reading their values. */
function rows(corpus: Corpus, flavour: Flavour): FuzzDecoder[] {
  const seeds = rowSeeds(corpus, flavour);
  if (seeds.length === 0) return [];
  const withMap =
    <T>(use: (map: TableMap, buf: Buffer, start: number, end: number, type: number) => T) =>
    (buf: Buffer, start: number, end: number): T[] => {
      let map: TableMap | null = null;
      const out: T[] = [];
      forEachEvent(buf, start, end, (from, to) => {
        const body = Math.min(to, from + EVENT_HEADER_LENGTH);
        if (map === null) map = decodeTableMap(buf, body, to);
        else out.push(use(map, buf, body, to, to - from > 4 ? buf[from + 4]! : 0));
      });
      return out;
    };
  return [
    { name: `rows-count-${flavour}`, weight: 1, seeds, run: withMap(countRows) },
    {
      name: `rows-values-${flavour}`,
      weight: 1.5,
      seeds,
      run: withMap((map, buf, start, end, type) => {
        const decoder = tableDecoder(map, flavour);
        const out: unknown[] = [];
        for (const change of decodeRows(decoder, buf, start, end, type)) out.push(change);
        return out;
      }),
    },
  ];
}

/** Every table map of the corpus with one rows event of each type that names it. */
function rowSeeds(corpus: Corpus, flavour: Flavour): Buffer[] {
  const seeds = new Map<string, Buffer>();
  for (const run of runsOf(corpus, flavour)) {
    const maps = new Map<number, Buffer>();
    for (const event of run.events) {
      const type = event[4]!;
      if (type === EventType.TABLE_MAP_EVENT) {
        maps.set(event.readUIntLE(EVENT_HEADER_LENGTH, 6), event);
      } else if (isRowsEvent(type)) {
        const map = maps.get(event.readUIntLE(EVENT_HEADER_LENGTH, 6));
        if (map === undefined || event.length > 4096) continue;
        const key = `${type} ${map.subarray(EVENT_HEADER_LENGTH + 6).toString('latin1')}`;
        if (!seeds.has(key) && seeds.size < 300) seeds.set(key, joinRun([map, event]));
      }
    }
  }
  return [...seeds.values()];
}

/** Scalars, containers small and large, and what the row events of the corpus hold in JSON columns. */
function jsonDocuments(corpus: Corpus): FuzzDecoder {
  return {
    name: 'json',
    weight: 2,
    seeds: [...JSON_BYTES.map((hex) => Buffer.from(hex.replaceAll(' ', ''), 'hex')), ...jsonColumns(corpus)],
    run: (buf, start, end) => jsonText(buf, start, end),
  };
}

function jsonDifferences(corpus: Corpus): FuzzDecoder {
  const value = Buffer.from('0c0161', 'hex');
  const replace = Buffer.concat([
    Buffer.from([0, 3]),
    Buffer.from('$.a'),
    Buffer.from([value.length]),
    value,
  ]);
  const remove = Buffer.concat([Buffer.from([2, 6]), Buffer.from('$.b[3]')]);
  const documents = jsonColumns(corpus).filter((each) => each.length < 251);
  const inserts = documents.map((each) =>
    Buffer.concat([Buffer.from([1, 4]), Buffer.from('$[0]'), Buffer.from([each.length]), each]),
  );
  return {
    name: 'json-diff',
    weight: 1,
    seeds: [replace, remove, Buffer.concat([replace, remove, replace]), ...inserts],
    run: (buf, start, end) => decodeJsonDiffs(buf, start, end),
  };
}

const JSON_BYTES = [
  '04 00', // null
  '04 01', // true
  '05 ff ff', // -1
  '07 00 00 00 80',
  '0a ff ff ff ff ff ff ff ff',
  '0b 00 00 00 00 00 00 04 40', // 2.5
  '0c 03 61 62 63', // "abc"
  '00 01 00 0c 00 0b 00 01 00 05 01 00 61', // {"a": 1}
  '02 02 00 0a 00 05 01 00 05 02 00', // [1, 2]
  '02 01 00 0d 00 02 07 00 01 00 06 00 05 01 00', // [[1]]
  '03 01 00 00 00 0d 00 00 00 07 01 00 00 00', // large array
  '0f f6 05 0a 02 80 01 0c', // opaque decimal
  '0f 0c 08 00 00 00 00 00 00 00 00', // opaque datetime
];

/** The bytes of JSON columns are found by reading the rows with a decoder that keeps them. */
function jsonColumns(corpus: Corpus): Buffer[] {
  const found = new Map<string, Buffer>();
  for (const seed of rowSeeds(corpus, 'mysql')) {
    let map: TableMap | null = null;
    forEachEvent(seed, 0, seed.length, (from, to) => {
      const body = from + EVENT_HEADER_LENGTH;
      if (map === null) {
        map = decodeTableMap(seed, body, to);
        return;
      }
      const plain = tableDecoder(map, 'mysql');
      const columns = plain.columns.map((column) =>
        column.kind === 'json'
          ? {
              ...column,
              decode: (buf: Buffer, start: number, end: number) => Buffer.from(buf.subarray(start, end)),
            }
          : column,
      );
      if (!columns.some((column) => column.kind === 'json')) return;
      for (const change of decodeRows({ ...plain, columns }, seed, body, to, seed[from + 4]!)) {
        for (const row of [change.before, change.after]) {
          columns.forEach((column, i) => {
            const value = column.kind === 'json' ? row?.[i] : null;
            if (Buffer.isBuffer(value) && value.length < 4096) found.set(value.toString('latin1'), value);
          });
        }
      }
    });
  }
  return [...found.values()].slice(0, 200);
}
