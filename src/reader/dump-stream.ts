/**
 * One running dump: the socket on one side, the relay log writer on the other, until it fails or is stopped.
 *
 *   socket chunk ─▶ PacketReader ─▶ EventIntake ─▶ RelayLogWriter.append … publish (at the end of each chunk)
 *                                                         └─▶ fdatasync by policy ─▶ semi-sync ACK
 *
 * Invariants
 *  - A chunk is worked off before the next one is taken from the socket: writing is synchronous, so a slow disk slows the
 *    source. Only fdatasync runs beside it, one at a time; when too much has come since it began, the socket is paused.
 *  - An acknowledgement is sent only after the fdatasync that began after its event was published.
 *  - Silence is never trusted: without a byte for three heartbeat periods the connection counts as lost.
 * The relay log is left as it is when the stream ends: the owner drops the unfinished transaction (`abandon`) or closes.
 * Thread: reader.
 */
import { MillraceError } from '../base/errors.ts';
import type { Clock, Logger } from '../base/runtime.ts';
import { transactionIdText } from '../binlog/position-set.ts';
import type { RelayLogWriter } from '../relay/relay-log-writer.ts';
import type { Arrival } from '../relay/source-clock.ts';
import { semiSyncAck } from '../wire/dump-commands.ts';
import { PacketReader } from '../wire/packet-framing.ts';
import { receiveTogether } from '../wire/socket-bytes.ts';
import { connectionLost } from '../wire/wire-error.ts';
import { EventIntake, type SourceMark } from './event-intake.ts';
import type { ReadySource } from './source-handshake.ts';
import { SyncPolicy } from './sync-policy.ts';
import { Unsynced } from './unsynced.ts';

export interface DumpStreamOptions {
  readonly writer: RelayLogWriter;
  readonly clock: Clock;
  readonly log: Logger;
  readonly heartbeatMs: number;
  /** 0: after every chunk that ended a transaction; else at most every so many ms. */
  readonly syncMs: number;
  /** The source has accepted the dump: its first file has begun. */
  readonly onStreaming: () => void;
  /** The first transaction of this connection is in the relay log. */
  readonly onProgress: () => void;
  /** Transactions are published. `wentBack`: their commit times do not follow their order. */
  readonly onArrival: (newest: Arrival, wentBack: boolean) => void;
  /** Commit time of the newest transaction of the stream before this one. */
  readonly commitMs: number | null;
}

const SILENT_PERIODS_MAX = 3;
const SILENCE_MIN_MS = 10_000;
/** Before it sends anything, a source may search many binary logs for the place to begin. */
const FIRST_BYTE_MS = 60_000;
const WATCH_EVERY_MS = 1000;
/** After so much the thread's other work has its turn: a socket that always has more would keep it away, and syncs that are done unseen. */
const TURN_BYTES = 8 * 1024 * 1024;
/** Of what TLS delivers in records: as much as comes in at once without it. */
const JOINED_LENGTH = 1024 * 1024;
/** More than this behind a running fdatasync pauses the socket. */
const UNSYNCED_BYTES_MAX = 256 * 1024 * 1024;

export class DumpStream {
  readonly #source: ReadySource;
  readonly #options: DumpStreamOptions;
  readonly #intake: EventIntake;
  readonly #packets: PacketReader;
  readonly #silenceMaxMs: number;
  #finish: ((error: MillraceError | null) => void) | null = null;
  #watch: NodeJS.Timeout | undefined;
  #lastByteMs = 0;
  #silentLooks = 0;
  #contactWallMs: number | null = null;
  #provenMs: number | null = null;
  #bytes = 0;
  #announced = false;
  #progressed = false;
  /** Transactions when the last arrival was told. */
  #told = 0;

  readonly unsynced = new Unsynced();
  #syncing = false;
  #syncTimer: NodeJS.Timeout | undefined;
  readonly #syncPolicy: SyncPolicy;
  #bytesAtSync = 0;
  #bytesAtTurn = 0;
  #paused = false;

  constructor(source: ReadySource, options: DumpStreamOptions) {
    this.#source = source;
    this.#options = options;
    const { peer, base, checksum, semiSync, known } = source;
    this.#intake = new EventIntake({
      peer,
      writer: options.writer,
      log: options.log,
      base,
      checksum,
      semiSync,
      commitMs: options.commitMs,
      known,
    });
    this.#packets = new PacketReader(this.#intake);
    this.#syncPolicy = new SyncPolicy(options.syncMs);
    this.#silenceMaxMs = Math.max(SILENCE_MIN_MS, SILENT_PERIODS_MAX * options.heartbeatMs);
  }

  get sourceFile(): string | null {
    return this.#intake.sourceFile;
  }

  get sourcePosition(): number {
    return this.#intake.sourcePosition;
  }

  get transactions(): number {
    return this.#intake.transactions;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get caughtUp(): boolean {
    return this.#intake.caughtUp;
  }

  /** Monotonic: when a heartbeat last named exactly our position; null: never. */
  get provenMs(): number | null {
    return this.#provenMs;
  }

  /** Source clock, µs since the epoch; null: nothing whole has come yet, or the source does not tell. */
  get lastCommitMicros(): bigint | null {
    return this.#intake.lastCommitMicros;
  }

  /** A transaction is being received. */
  get inTransaction(): boolean {
    return this.#intake.openTransaction !== null;
  }

  /** Wall time of the last byte. */
  get contactMs(): number | null {
    return this.#contactWallMs;
  }

  /** Monotonic time of the last byte. */
  get contactAtMs(): number | null {
    return this.#contactWallMs === null ? null : this.#lastByteMs;
  }

  /** The newest transaction's commit by the source's clock. */
  get commitMs(): number | null {
    return this.#intake.commitMs;
  }

  /** Sends the dump command and reads until the end. Resolves after `stop`; @throws what ended the dump otherwise. */
  run(): Promise<void> {
    const { socket, peer } = this.#source;
    return new Promise<void>((resolve, reject) => {
      this.#finish = (error) => {
        this.#finish = null;
        clearInterval(this.#watch);
        clearTimeout(this.#syncTimer);
        socket.destroy();
        if (error === null) resolve();
        else reject(error);
      };
      receiveTogether(socket, JOINED_LENGTH, (buf, end) => this.#onData(buf, end));
      socket.on('error', (error) => this.#fail(connectionLost(peer, error.message, error)));
      socket.on('end', () => this.#fail(connectionLost(peer, 'the source closed it')));
      socket.on('close', () => this.#fail(connectionLost(peer, 'it was closed')));
      this.#lastByteMs = this.#options.clock.monotonicMs();
      this.#watch = setInterval(() => this.#look(), WATCH_EVERY_MS);
      if (socket.destroyed) {
        this.#fail(connectionLost(peer, 'it was closed'));
        return;
      }
      socket.write(this.#source.dump);
      socket.resume();
    });
  }

  /** Ends at once; what was received of an unfinished transaction is the owner's to drop. */
  stop(): void {
    this.#finish?.(null);
  }

  /** Ends at once with this: what is known of the source beside the dump speaks against it. */
  end(error: MillraceError): void {
    this.#fail(error);
  }

  #fail(error: MillraceError): void {
    this.#finish?.(error);
  }

  #onData(buf: Buffer, end: number): void {
    if (this.#finish === null) return;
    const { clock, writer } = this.#options;
    this.#lastByteMs = clock.monotonicMs();
    this.#syncPolicy.received(this.#lastByteMs);
    this.#silentLooks = 0;
    this.#contactWallMs = clock.wallMs();
    this.#bytes += end;
    try {
      this.#packets.push(buf, end);
      writer.publish();
      this.unsynced.published(this.#intake.transactions, this.#lastByteMs);
      if (this.#intake.caughtUp) this.#provenMs = this.#lastByteMs;
    } catch (error) {
      this.#fail(this.#located(error));
      return;
    }
    if (!this.#announced && this.#intake.files > 0) {
      this.#announced = true;
      this.#options.onStreaming();
    }
    if (!this.#progressed && this.#intake.transactions > 0) {
      this.#progressed = true;
      this.#options.onProgress();
    }
    this.#tellArrival();
    this.#syncByPolicy();
    if (this.#syncing && this.#bytes - this.#bytesAtSync > UNSYNCED_BYTES_MAX) this.#pause();
    else if (this.#bytes - this.#bytesAtTurn > TURN_BYTES) this.#giveTurn();
  }

  #tellArrival(): void {
    const { transactions, commitMs, commitIsExact } = this.#intake;
    if (transactions === this.#told || commitMs === null) return;
    this.#told = transactions;
    const newest = { commitMs, arrivedMs: this.#lastByteMs, exact: commitIsExact };
    this.#options.onArrival(newest, this.#intake.takeWentBack());
  }

  // -- fdatasync and acknowledgements --------------------------------------------------------------------------------

  #syncByPolicy(): void {
    if (this.#syncing || this.#finish === null) return;
    if (!this.#needsSync()) {
      this.unsynced.allDurable();
      this.#syncPolicy.allIsDurable();
      return;
    }
    const dueMs = this.#syncPolicy.dueInMs(this.#options.clock.monotonicMs());
    if (dueMs <= 0 || this.#intake.ackWanted) {
      this.#sync();
    } else {
      this.#syncTimer ??= setTimeout(() => {
        this.#syncTimer = undefined;
        this.#syncByPolicy();
      }, dueMs);
    }
  }

  #needsSync(): boolean {
    const { position, durable } = this.#options.writer;
    const same = position.fileNumber === durable.fileNumber && position.offset === durable.offset;
    return !same || this.#intake.ackWanted;
  }

  #sync(): void {
    clearTimeout(this.#syncTimer);
    this.#syncTimer = undefined;
    this.#syncing = true;
    this.#syncPolicy.begins(this.#options.clock.monotonicMs());
    this.#bytesAtSync = this.#bytes;
    this.unsynced.syncBegins();
    // Its event was published before, so this sync covers it.
    const ack = this.#intake.takeAck();
    this.#options.writer.sync().then(
      () => this.#synced(ack),
      (error: unknown) => this.#fail(this.#located(error)),
    );
  }

  #synced(ack: SourceMark | null): void {
    this.#syncing = false;
    this.unsynced.synced();
    if (this.#finish === null) return;
    if (ack !== null) this.#source.socket.write(semiSyncAck(ack.file, ack.position));
    if (this.#paused) {
      this.#paused = false;
      this.#lastByteMs = this.#options.clock.monotonicMs();
      this.#source.socket.resume();
    }
    this.#syncByPolicy();
  }

  #giveTurn(): void {
    this.#bytesAtTurn = this.#bytes;
    this.#source.socket.pause();
    setImmediate(() => {
      if (!this.#paused && this.#finish !== null) this.#source.socket.resume();
    });
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#source.socket.pause();
  }

  // -- watching ------------------------------------------------------------------------------------------------------

  /** Twice in a row: after a long turn of this thread the timer runs before the bytes that wait are read. */
  #look(): void {
    const silentMs = this.#options.clock.monotonicMs() - this.#lastByteMs;
    const limitMs = this.#bytes === 0 ? Math.max(FIRST_BYTE_MS, this.#silenceMaxMs) : this.#silenceMaxMs;
    if (this.#paused || silentMs < limitMs) {
      this.#silentLooks = 0;
      return;
    }
    this.#silentLooks++;
    if (this.#silentLooks < 2) return;
    const seconds = Math.round(silentMs / 1000);
    this.#fail(connectionLost(this.#source.peer, `no heartbeat and no event for ${seconds} s`));
  }

  /** The same error with the place in the source's binary log. */
  #located(error: unknown): MillraceError {
    if (!(error instanceof MillraceError)) {
      return new MillraceError(
        'INTERNAL',
        error instanceof Error ? (error.stack ?? error.message) : String(error),
      );
    }
    const { sourceFile, sourcePosition, openTransaction } = this.#intake;
    if (error.code === 'CONNECTION_LOST' || error.code.startsWith('DISK') || sourceFile === null)
      return error;
    const gtid = openTransaction?.id ?? null;
    return new MillraceError(error.code, error.message, {
      action: error.action,
      hint: error.hint,
      facts: {
        ...error.facts,
        source_file: sourceFile,
        source_position: sourcePosition,
        ...(gtid === null ? {} : { gtid: transactionIdText(gtid) }),
      },
      cause: error,
    });
  }
}
