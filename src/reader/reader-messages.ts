/**
 * What the reader thread is given at birth and the messages it exchanges with the main thread. Types only.
 */
import type { PlainError } from '../base/errors.ts';
import type { PositionKind } from '../binlog/position-set.ts';
import type { SourceClockSnapshot } from '../relay/source-clock.ts';
import type { EndpointOptions } from '../wire/endpoint.ts';

export type SourceStart =
  | { readonly at: 'auto' }
  | { readonly at: 'gtid_set'; readonly gtidSet: string }
  | { readonly at: 'position'; readonly file: string; readonly position: number };

export interface ReaderOptions {
  readonly channel: string;
  readonly endpoint: EndpointOptions;
  /** Null: derived from data_dir's identity, stable, checked against the source's other replicas. */
  readonly serverId: number | null;
  /** Our own stable server_uuid on this channel (kept in data_dir). */
  readonly replicaUuid: string;
  readonly start: SourceStart;
  /** Heartbeat period asked from the source; the watchdog gives up after 3 periods of silence (at least 10 s). */
  readonly heartbeatMs: number;
  /** How often the source is asked where it is, in a connection of its own; null: never. */
  readonly headEveryMs: number | null;
  readonly relayDir: string;
  /** Soft limit: a file is closed after the transaction that passes it. */
  readonly maxFileSize: number;
  /** fdatasync policy: after every received batch that ends a transaction (0), or at most every so many ms. */
  readonly syncMs: number;
  readonly retentionMs: number;
  /** Begins without a connection to the source, as after `pause`. */
  readonly paused: boolean;
  /** Where the end of the relay log is published (see relay/published-end.ts). */
  readonly published: SharedArrayBuffer;
}

export type ReaderCommand =
  /**
   * Start reading. `executed` is what every target has (text of the position set of the source's kind, null: no target
   * known yet, use only the relay log). `reset`: throw the relay log away first and fetch again from `executed`.
   */
  | { readonly type: 'start'; readonly executed: string | null; readonly reset: boolean }
  /** Relay files numbered below this are needed by no target any more. */
  | { readonly type: 'applied-up-to'; readonly fileNumber: number }
  /** Ends the connection to the source, and takes none until `resume`. The same one twice changes nothing. */
  | { readonly type: 'pause' }
  | { readonly type: 'resume' }
  | { readonly type: 'retention'; readonly ms: number }
  | { readonly type: 'status'; readonly id: number }
  /** Finish the transaction in flight or truncate it, sync, close. Answered by `stopped`. */
  | { readonly type: 'stop' };

export type ReaderState =
  /** Nothing to do until something comes that `reason` names. */
  | { readonly at: 'idle'; readonly reason: string }
  | { readonly at: 'connecting'; readonly attempt: number }
  | { readonly at: 'streaming'; readonly sinceMs: number }
  /** By the operator. */
  | { readonly at: 'paused' }
  | {
      readonly at: 'backing-off';
      readonly attempt: number;
      readonly untilMs: number;
      readonly cause: PlainError;
    }
  /** `cause`: what stops it; null: it was told to. */
  | { readonly at: 'stopping'; readonly cause: PlainError | null }
  | { readonly at: 'stopped'; readonly cause: PlainError | null };

export interface ReaderStatus {
  /** Monotonic: every age in it is as of then. */
  readonly takenAtMs: number;
  readonly state: ReaderState;
  readonly lastError: PlainError | null;
  readonly source: {
    readonly serverUuid: string | null;
    readonly serverVersion: string | null;
    readonly flavour: 'mysql' | 'mariadb' | null;
  };
  /** Text of the retrieved set: whole transactions in the relay log and everything before it. */
  readonly retrieved: string;
  readonly sourceFile: string | null;
  readonly sourcePosition: number;
  readonly relayFile: string | null;
  readonly relayPosition: number;
  readonly relayBytes: number;
  /** Transactions and bytes received since the thread started. */
  readonly transactionsReceived: number;
  readonly bytesReceived: number;
  /**
   * Proof that the relay log holds everything the source had at `contactMs` (wall): a heartbeat that named exactly our
   * position, and nothing received since. Lag may only be 0 on such proof.
   */
  readonly caughtUpWithSource: boolean;
  /** Wall time of the last byte from the source; null before the first. */
  readonly contactMs: number | null;
  /** The same in monotonic time: what the proof is dated by. */
  readonly contactAtMs: number | null;
  /** The period of the heartbeats asked for: how often there is such proof on an idle source. */
  readonly heartbeatMs: number;
  /** What is known about the source's clock; null: it was not read yet. */
  readonly sourceClock: SourceClockStatus | null;
  /** Where the source is, as it says itself beside the dump; null: not known, and `headUnknown` says why. */
  readonly head: HeadView | null;
  readonly headUnknown: string | null;
  /** So long ago the source had nothing that is not received: the newest proof; null: never known. */
  readonly proofAgeMs: number | null;
  /** At most so long something that the source has is missing in the relay log; null: nothing is known to be. */
  readonly missingAgeMs: number | null;
  /** Published in the relay log and not on disk yet. */
  readonly unsynced: {
    readonly transactions: number;
    readonly bytes: number;
    /** Of the oldest; null: nothing waits. */
    readonly ageMs: number | null;
  };
}

export interface HeadView {
  readonly file: string | null;
  readonly position: number | null;
  readonly executed: string | null;
  readonly ageMs: number;
  /** From what is received to the head, in the source's files; null: not known. */
  readonly bytesAhead: number | null;
}

export interface SourceClockStatus {
  /** Source clock minus our wall clock, when it was last read. */
  readonly offsetMs: number;
  /** Half the width of its bounds: how exactly it is known. */
  readonly errorMs: number;
  /** Monotonic time of the last reading. */
  readonly readAtMs: number;
  /** How often it was set to another time while we looked. */
  readonly steps: number;
}

export type ReaderReport =
  | { readonly type: 'state'; readonly state: ReaderState }
  | {
      readonly type: 'log';
      readonly level: 'debug' | 'info' | 'warn' | 'error';
      readonly message: string;
      readonly facts: Record<string, unknown>;
    }
  | { readonly type: 'status'; readonly id: number; readonly status: ReaderStatus }
  /** What is known about the source's clock, whenever something new is. */
  | { readonly type: 'clock'; readonly clock: SourceClockSnapshot }
  /**
   * Posted once, before anything else can happen: how the source names its transactions. The reader finds out at birth, from
   * its relay log when that is not empty, else by connecting to the source (retrying with back-off like any connect; a
   * stop there is reported as `stopped`). It then waits for `start`. The channel hands `kind` to the appliers, collects
   * what they have executed and only then sends `start`.
   */
  | { readonly type: 'source'; readonly kind: PositionKind; readonly relayLogIsEmpty: boolean }
  | { readonly type: 'stopped'; readonly cause: PlainError | null };
