/**
 * Reads the source's clock against our monotonic one.
 *
 *   asked ──▶ the server begins the statement: NOW(6) ──▶ answered       source − monotonic lies between
 *                                                                        NOW − answered and NOW − asked
 *
 * Several looks, one after the other, narrow the bounds: the quickest answer is the best one. In UTC, because in the hour
 * that a time zone repeats NOW() names two moments. A server that knows no fractions of a second (5.5) tells whole ones.
 */
import { MillraceError } from '../base/errors.ts';
import type { Clock } from '../base/runtime.ts';
import type { ClockReading } from '../relay/source-clock.ts';
import type { WireConnection } from '../wire/connection.ts';
import { Errno } from '../wire/wire-error.ts';

const LOOKS = 3;

export interface SourceTime {
  /** Null: the server does not tell its time in a form that we know. */
  readonly reading: ClockReading | null;
  readonly serverId: number;
}

/** Once for a connection, before `readSourceTime`. */
export async function useUtc(connection: WireConnection): Promise<void> {
  await connection.query("SET time_zone = '+00:00'", 'set the time zone');
}

export async function readSourceTime(connection: WireConnection, clock: Clock): Promise<SourceTime> {
  const wallMs = clock.wallMs();
  const atMs = clock.monotonicMs();
  let lowMs = Number.NEGATIVE_INFINITY;
  let highMs = Number.POSITIVE_INFINITY;
  let serverId = 0;
  for (let look = 0; look < LOOKS; look++) {
    const askedMs = clock.monotonicMs();
    const { text, unitMs, id } = await askTime(connection);
    const answeredMs = clock.monotonicMs();
    serverId = id;
    const sourceMs = text === null ? Number.NaN : Number(text) * 1000;
    if (!Number.isFinite(sourceMs) || sourceMs <= 0) return { reading: null, serverId };
    const low = sourceMs - answeredMs;
    const high = sourceMs + unitMs - askedMs;
    if (low > highMs || high < lowMs) {
      // A step between two looks: what was learned before it is over.
      lowMs = Number.NEGATIVE_INFINITY;
      highMs = Number.POSITIVE_INFINITY;
    }
    lowMs = Math.max(lowMs, low);
    highMs = Math.min(highMs, high);
  }
  return { reading: { atMs, lowMs, highMs, wallMs }, serverId };
}

interface ToldTime {
  /** Seconds since the epoch. */
  readonly text: string | null;
  /** The clock was not further on than this beyond what is told. */
  readonly unitMs: number;
  readonly id: number;
}

async function askTime(connection: WireConnection): Promise<ToldTime> {
  try {
    return await ask(connection, 'NOW(6)', 0.001);
  } catch (error) {
    if (!(error instanceof MillraceError) || error.facts.errno !== Errno.PARSE_ERROR) throw error;
    return ask(connection, 'NOW()', 1000);
  }
}

async function ask(connection: WireConnection, now: string, unitMs: number): Promise<ToldTime> {
  const [row] = await connection.query(
    `SELECT UNIX_TIMESTAMP(${now}) AS now, @@server_id AS id`,
    "read the source's clock",
  );
  return { text: row?.now ?? null, unitMs, id: Number(row?.id ?? 0) };
}
