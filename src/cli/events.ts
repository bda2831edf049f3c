/**
 * `millrace events`: what the relay log holds, row by row, like SHOW RELAYLOG EVENTS. Reads the files; works beside a running
 * Millrace and without one.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { relayDirectory } from '../channel/relay-directory.ts';
import { loadPlaces } from '../config/places.ts';
import { type EventRow, listEvents } from '../relay/event-listing.ts';
import { chosenChannel } from './chosen-channel.ts';
import { JsonRows } from './json-rows.ts';
import { EXIT, type ExitCode, type Terminal } from './terminal.ts';
import { type ConfigArguments, configFile, UsageError } from './verb.ts';

/** So many rows at most are written before a reader that went away is noticed. */
const ROWS_PER_TURN = 500;

export interface EventsArguments extends ConfigArguments {
  readonly channel?: string | undefined;
  readonly file?: string | undefined;
  readonly from?: string | undefined;
  readonly limit?: number | undefined;
  readonly json: boolean;
}

export async function events(args: EventsArguments, terminal: Terminal): Promise<ExitCode> {
  const { limit = null, file = null, from = null } = args;
  if (limit !== null && !(Number.isInteger(limit) && limit > 0)) {
    throw new UsageError('--limit: expected a whole number above 0');
  }
  const places = loadPlaces(configFile(args, terminal), terminal.env);
  const dir = relayDirectory(places.dataDir, chosenChannel(args.channel, places));
  const print = args.json ? new JsonRows(terminal) : new TableRows(terminal);
  let count = 0;
  try {
    for (const row of listEvents({ dir, file, from, limit })) {
      print.row(row);
      count += 1;
      if (count % ROWS_PER_TURN !== 0) continue;
      await nextTurn();
      if (terminal.closed()) return EXIT.done;
    }
  } catch (error) {
    if (count > 0) print.end();
    throw error;
  }
  print.end();
  if (count === 0) terminal.err(`the relay log in ${dir} holds nothing yet\n`);
  return EXIT.done;
}

/** Columns of fixed width: nothing is kept to measure it. */
class TableRows {
  readonly #terminal: Terminal;
  #first = true;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  row(row: EventRow): void {
    if (this.#first) this.#line('LOG_NAME', 'POS', 'EVENT_TYPE', 'SERVER_ID', 'END_LOG_POS', 'INFO');
    this.#first = false;
    const type = row.in_payload ? `  ${row.event_type}` : row.event_type;
    // Statements and names come from the source: control characters must not reach the terminal.
    const info = row.info.replace(/\p{Cc}+/gu, ' ');
    this.#line(row.log_name, String(row.pos), type, String(row.server_id), String(row.end_log_pos), info);
  }

  #line(name: string, pos: string, type: string, serverId: string, endPos: string, info: string): void {
    const columns = [
      name.padEnd(16),
      pos.padStart(11),
      type.padEnd(27),
      serverId.padStart(10),
      endPos.padStart(11),
    ];
    this.#terminal.out(`${`${columns.join('  ')}  ${info}`.trimEnd()}\n`);
  }

  end(): void {}
}
