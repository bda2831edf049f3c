/**
 * The real bytes that fuzzing starts from: every binary log under a folder, taken apart into events.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Flavour } from '../../src/binlog/format-description.ts';

export const FLAVOURS: readonly Flavour[] = ['mysql', 'mariadb'];

const MAGIC = Buffer.from([0xfe, 0x62, 0x69, 0x6e]);
const HEADER_LENGTH = 19;
const FORMAT_DESCRIPTION = 15;
/** Bigger events say nothing new and make every input slow. */
const EVENT_BYTES_MAX = 16 * 1024;
/** A log with millions of like events is not needed whole. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;

/** A transaction or part of one: events in the order of the file, each whole and without its CRC. */
export interface EventRun {
  readonly flavour: Flavour;
  /** The whole FORMAT_DESCRIPTION_EVENT of the file, with its CRC. */
  readonly formatDescription: Buffer;
  readonly events: readonly Buffer[];
}

export interface Corpus {
  readonly runs: readonly EventRun[];
}

export function readCorpus(folder: string): Corpus {
  const runs: EventRun[] = [];
  for (const path of filesBelow(folder)) {
    const bytes = readFileSync(path).subarray(0, FILE_BYTES_MAX);
    const run = bytes.subarray(0, MAGIC.length).equals(MAGIC) ? splitEvents(bytes) : null;
    if (run !== null) runs.push(run);
  }
  return { runs };
}

export function runsOf(corpus: Corpus, flavour: Flavour): EventRun[] {
  return corpus.runs.filter((run) => run.flavour === flavour);
}

/** The events of some types, all files together, without doubles. */
export function eventsOfType(
  corpus: Corpus,
  types: readonly number[],
  perType: number,
  flavour?: Flavour,
): Buffer[] {
  const seen = new Set<string>();
  const counts = new Map<number, number>();
  const out: Buffer[] = [];
  for (const run of flavour === undefined ? corpus.runs : runsOf(corpus, flavour)) {
    for (const event of run.events) {
      const type = event[4]!;
      const count = counts.get(type) ?? 0;
      const text = event.subarray(HEADER_LENGTH).toString('latin1');
      if (!types.includes(type) || count >= perType || seen.has(text)) continue;
      seen.add(text);
      counts.set(type, count + 1);
      out.push(event);
    }
  }
  return out;
}

function* filesBelow(folder: string): Generator<string> {
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    // Saved findings are replayed by themselves; as seeds they would make runs depend on each other.
    if (statSync(path).isDirectory()) {
      if (name !== 'fuzz') yield* filesBelow(path);
    } else {
      yield path;
    }
  }
}

function splitEvents(bytes: Buffer): EventRun | null {
  const events: Buffer[] = [];
  let formatDescription: Buffer | null = null;
  let crcLength = 0;
  let at = MAGIC.length;
  while (at + HEADER_LENGTH <= bytes.length) {
    const length = bytes.readUInt32LE(at + 9);
    if (length < HEADER_LENGTH || at + length > bytes.length) break;
    const event = bytes.subarray(at, at + length);
    if (event[4] === FORMAT_DESCRIPTION) {
      formatDescription ??= event;
      crcLength = event[length - 5] === 1 ? 4 : 0;
      events.push(event);
    } else if (length <= EVENT_BYTES_MAX) {
      events.push(event.subarray(0, length - crcLength));
    }
    at += length;
  }
  if (formatDescription === null) return null;
  // The server's version stands at 2 in the body, 50 bytes.
  const version = formatDescription.toString('latin1', HEADER_LENGTH + 2, HEADER_LENGTH + 52);
  const flavour = /mariadb/i.test(version) ? 'mariadb' : 'mysql';
  return { flavour, formatDescription, events };
}
