/**
 * `millrace find`: where in the relay log something happened, by time, table, kind, GTID and text. Reads the files; works
 * beside a running Millrace and without one.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MillraceError } from '../base/errors.ts';
import { relayDirectory } from '../channel/relay-directory.ts';
import { nearMiss } from '../config/near-miss.ts';
import { loadPlaces } from '../config/places.ts';
import { parseDuration } from '../config/units.ts';
import {
  type FoundChange,
  type FoundTransaction,
  type SearchWish,
  searchRelayLog,
  WishedIds,
} from '../observe/relay-search.ts';
import { fileSet, relayFiles } from '../relay/relay-log-location.ts';
import { CHANGE_KINDS, type ChangeKind } from '../rules/target-rules.ts';
import { WildTable, wildTableProblem } from '../rules/wild-table.ts';
import { chosenChannel } from './chosen-channel.ts';
import { JsonRows } from './json-rows.ts';
import { parseMoment } from './moment.ts';
import { EXIT, type ExitCode, type Terminal } from './terminal.ts';
import { type ConfigArguments, configFile, UsageError } from './verb.ts';

/** So many transactions at most are written before a reader that went away is noticed. */
const FOUND_PER_TURN = 100;

export interface FindArguments extends ConfigArguments {
  readonly channel?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly table?: string | undefined;
  readonly kind?: string | undefined;
  readonly gtid?: string | undefined;
  readonly text?: string | undefined;
  readonly limit?: number | undefined;
  readonly json: boolean;
}

export async function find(args: FindArguments, terminal: Terminal): Promise<ExitCode> {
  const { limit = Number.POSITIVE_INFINITY } = args;
  if (!(limit === Number.POSITIVE_INFINITY || (Number.isInteger(limit) && limit > 0))) {
    throw new UsageError('--limit: expected a whole number above 0');
  }
  const places = loadPlaces(configFile(args, terminal), terminal.env);
  const dir = relayDirectory(places.dataDir, chosenChannel(args.channel, places));
  const wish = wishOf(args, dir);
  const print = args.json ? new JsonRows(terminal) : new FoundTable(terminal);
  let count = 0;
  try {
    for (const found of searchRelayLog(wish)) {
      if (found !== null) {
        print.row(found);
        count += 1;
        if (count >= limit) break;
        if (count % FOUND_PER_TURN !== 0) continue;
      }
      await nextTurn();
      if (terminal.closed()) return EXIT.done;
    }
  } catch (error) {
    if (count > 0) print.end();
    throw error;
  }
  print.end();
  if (count === 0 && !args.json) terminal.err(`nothing of that kind is in the relay log in ${dir}\n`);
  return EXIT.done;
}

function wishOf(args: FindArguments, dir: string): SearchWish {
  const fromMs = timeOf(args.from, '--from');
  const toMs = timeOf(args.to, '--to');
  if (fromMs !== null && toMs !== null && fromMs >= toMs) {
    throw new UsageError('--to: expected a time after the one of --from');
  }
  return {
    dir,
    fromMs,
    toMs,
    tables: tablesOf(args.table),
    kinds: kindsOf(args.kind),
    ids: idsOf(args.gtid, dir),
    text: textOf(args.text),
  };
}

/** A moment, or how long ago. */
function timeOf(text: string | undefined, option: string): number | null {
  if (text === undefined) return null;
  const ms = parseMoment(text) ?? agoMs(text);
  if (ms !== null) return ms;
  throw new UsageError(
    `${option}: ${JSON.stringify(text)} is no time; write 2026-02-03T04:05:06Z, "2026-02-03 04:05:06" in the time zone of this machine, or 10m for ten minutes ago`,
  );
}

function agoMs(text: string): number | null {
  try {
    return Date.now() - parseDuration(text.replace(/\s*ago$/, ''));
  } catch {
    return null;
  }
}

function tablesOf(text: string | undefined): WildTable | null {
  if (text === undefined) return null;
  const problem = wildTableProblem(text);
  if (problem !== null) throw new UsageError(`--table: ${problem}`);
  return new WildTable(text);
}

function kindsOf(text: string | undefined): ReadonlySet<ChangeKind> | null {
  if (text === undefined) return null;
  const kinds = new Set<ChangeKind>();
  for (const word of text.split(',').map((part) => part.trim())) {
    const kind = CHANGE_KINDS.find((each) => each === word);
    if (kind === undefined) {
      const meant = nearMiss(word, CHANGE_KINDS);
      const hint = meant === null ? `known are ${CHANGE_KINDS.join(', ')}` : `did you mean ${meant}?`;
      throw new UsageError(`--kind: unknown kind ${JSON.stringify(word)}; ${hint}`);
    }
    kinds.add(kind);
  }
  return kinds;
}

/** An empty relay log holds no transaction of any name. */
function idsOf(text: string | undefined, dir: string): WishedIds | null {
  if (text === undefined) return null;
  const first = relayFiles(dir)
    .map((number) => fileSet(dir, number))
    .find((header) => header !== null);
  try {
    return new WishedIds(first?.kind ?? 'gtid', text);
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    throw new UsageError(`--gtid: ${error.message}`);
  }
}

function textOf(text: string | undefined): string | null {
  if (text === '') throw new UsageError('--text: expected a text');
  return text ?? null;
}

/** One line for every change; columns of fixed width: nothing is kept to measure it. */
class FoundTable {
  readonly #terminal: Terminal;
  #first = true;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  row(found: FoundTransaction): void {
    if (this.#first) this.#line('COMMITTED_AT', 'LOG_NAME:POS', 'GTID', 'KIND', 'ROWS', 'WHAT');
    this.#first = false;
    const { committed_at: time, log_name: file, pos, gtid, changes, more_changes: more } = found;
    const place = `${file}:${pos}`;
    for (const change of changes) {
      this.#line(
        time,
        place,
        gtid,
        change.kind,
        change.rows === null ? '-' : String(change.rows),
        what(change),
      );
    }
    if (changes.length === 0) this.#line(time, place, gtid, '-', '-', '');
    if (more > 0) this.#line(time, place, gtid, '…', '-', `${more} more changes`);
  }

  end(): void {}

  #line(time: string, place: string, gtid: string, kind: string, rows: string, text: string): void {
    const columns = [time.padEnd(24), place.padEnd(26), gtid.padEnd(40), kind.padEnd(12), rows.padStart(8)];
    this.#terminal.out(`${`${columns.join('  ')}  ${text}`.trimEnd()}\n`);
  }
}

/** Names and statements come from the source: nothing that a terminal would obey. */
function what({ objects, statement }: FoundChange): string {
  const names = objects.join(', ');
  const text = statement === null ? names : `${names}  # ${statement}`.trimStart();
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ');
}
