/**
 * The reader: the rim around the state machine. It runs the machine's effects, answers the main thread, and holds what
 * lives longer than one connection: the relay log writer and what is known about the source.
 *
 * Life: open (recover) the relay log → tell the main thread how the source counts (from the relay log, else by asking the
 * source) → wait for `start` → stream, with reconnects → `stop`.
 *
 * A relay log that cannot be recovered does not end the reader at once: the channel may be about to have it fetched anew
 * (`start` with `reset`). Only a `start` without it stops the reader, with RELAY_CORRUPT (action resync).
 * Thread: reader. Everything here runs between chunks of the dump, so commands are answered while data flows.
 */
import { hostname } from 'node:os';
import { MillraceError, type PlainError, toPlain } from '../base/errors.ts';
import { type Clock, type Logger, sleep } from '../base/runtime.ts';
import type { PositionKind } from '../binlog/position-set.ts';
import { PublishedEnd } from '../relay/published-end.ts';
import type { RelayLogWriter } from '../relay/relay-log-writer.ts';
import { openConnection, type WireConnection } from '../wire/connection.ts';
import { ClockKeeper } from './clock-keeper.ts';
import { DumpStream } from './dump-stream.ts';
import { portLogger } from './port-logger.ts';
import { readerFreshness, receivedSoFar } from './reader-freshness.ts';
import {
  initialReader,
  type ReaderEffect,
  type ReaderGoal,
  type ReaderInput,
  type ReaderMemory,
  type ReaderPolicy,
  stepReader,
} from './reader-machine.ts';
import type { ReaderCommand, ReaderOptions, ReaderReport, ReaderStatus } from './reader-messages.ts';
import { RelayLogHolder } from './relay-log-holder.ts';
import type { ReplicaIdentity } from './replica-identity.ts';
import { readSourceFacts, type SourceFacts } from './source-facts.ts';
import { discoverKind, prepareDump } from './source-handshake.ts';
import { SourceHead } from './source-head.ts';

export interface ReaderRim {
  readonly post: (report: ReaderReport) => void;
  /** Called once, after `stopped` was posted: nothing is held any more. */
  readonly ended: () => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly policy: ReaderPolicy;
}

/** Of a dump: what the source sends at once comes in at once, and is written at once. */
const READ_BUFFER_LENGTH = 1024 * 1024;
/** A handshake statement that takes longer has lost its connection. */
const STATEMENT_TIMEOUT_MS = 30_000;
/** Closing must not wait for a disk that hangs: after kill -9 the relay log is just as good. */
const CLOSE_TIMEOUT_MS = 1_500;
const PURGE_EVERY_MS = 60_000;
const NOWHERE = { fileNumber: 0, offset: 0 };
/** Of a set that is logged: the beginning tells which one it is. */
const LOGGED_SET_MAX = 400;

export class Reader {
  readonly #options: ReaderOptions;
  readonly #rim: ReaderRim;
  readonly #log: Logger;
  readonly #identity: ReplicaIdentity;
  readonly #relay: RelayLogHolder;
  readonly #time: ClockKeeper;
  #memory: ReaderMemory;
  /** The source's kind is reported. */
  #ready = false;
  #start: Extract<ReaderCommand, { type: 'start' }> | null = null;
  #executed: string | null = null;
  #facts: SourceFacts | null = null;
  #stream: DumpStream | null = null;
  #attempt = new AbortController();
  /** The attempt or the stream under way, or the last one. */
  #pursuit: Promise<void> = Promise.resolve();
  #retryTimer: NodeJS.Timeout | undefined;
  #purgeTimer: NodeJS.Timeout | undefined;
  #neededFrom = 0;
  #retentionMs: number;
  #lastError: PlainError | null = null;
  /** Of the streams before the present one. */
  #transactionsBefore = 0;
  #bytesBefore = 0;
  #contactMs: number | null = null;
  #contactAtMs: number | null = null;
  #commitMs: number | null = null;
  /** Null: the source is not to be asked. */
  readonly #head: SourceHead | null;

  constructor(options: ReaderOptions, rim: ReaderRim) {
    this.#options = options;
    this.#rim = rim;
    this.#memory = initialReader('begins', options.paused);
    this.#retentionMs = options.retentionMs;
    this.#log = portLogger(rim.post);
    this.#relay = new RelayLogHolder({
      dir: options.relayDir,
      maxFileSize: options.maxFileSize,
      published: new PublishedEnd(options.published),
      log: this.#log,
    });
    this.#time = new ClockKeeper({
      channelDir: options.relayDir,
      endpoint: options.endpoint,
      clock: rim.clock,
      log: this.#log,
      end: () => this.#relay.writer?.position ?? NOWHERE,
      tell: (clock) => rim.post({ type: 'clock', clock }),
    });
    this.#identity = {
      serverId: options.serverId,
      replicaUuid: options.replicaUuid,
      reportHost: hostname(),
    };
    const { endpoint, headEveryMs: everyMs } = options;
    const received = () => receivedSoFar(this.#relay.writer, this.#stream);
    // A new connection finds out: its handshake asks for what is ours, and refuses another history.
    const onBroken = (error: MillraceError) => this.#stream?.end(error);
    this.#head =
      everyMs === null ? null : new SourceHead({ endpoint, everyMs, clock: rim.clock, received, onBroken });
  }

  begin(): void {
    this.#purgeTimer = setInterval(() => this.#purge(), PURGE_EVERY_MS);
    this.#purgeTimer.unref();
    this.#time.load();
    this.#input({ type: 'start', goal: 'discover' });
  }

  command(command: ReaderCommand): void {
    switch (command.type) {
      case 'start':
        this.#start = command;
        this.#startWhenReady();
        return;
      case 'applied-up-to':
        this.#neededFrom = command.fileNumber;
        this.#purge();
        return;
      case 'retention':
        this.#retentionMs = command.ms;
        this.#purge();
        return;
      case 'pause':
        this.#input({ type: 'pause' });
        return;
      case 'resume':
        this.#input({ type: 'resume' });
        this.#startWhenReady();
        return;
      case 'status':
        this.#rim.post({ type: 'status', id: command.id, status: this.status() });
        return;
      case 'stop':
        this.#input({ type: 'stop' });
        return;
    }
  }

  status(): ReaderStatus {
    const writer = this.#relay.writer;
    const stream = this.#stream;
    const position = writer?.position ?? null;
    const nowMs = this.#rim.clock.monotonicMs();
    return {
      takenAtMs: nowMs,
      state: this.#memory.state,
      lastError: this.#lastError,
      source: {
        serverUuid: this.#facts?.serverUuid ?? null,
        serverVersion: this.#facts?.serverVersion ?? null,
        flavour: this.#facts?.flavour ?? writer?.flavour ?? null,
      },
      retrieved: writer?.retrieved?.toString() ?? '',
      sourceFile: stream?.sourceFile ?? writer?.sourceFile ?? null,
      sourcePosition: stream?.sourceFile == null ? (writer?.sourcePosition ?? 0) : stream.sourcePosition,
      relayFile: writer?.fileName ?? null,
      relayPosition: position?.offset ?? 0,
      relayBytes: writer?.bytes ?? 0,
      transactionsReceived: this.#transactionsBefore + (stream?.transactions ?? 0),
      bytesReceived: this.#bytesBefore + (stream?.bytes ?? 0),
      contactMs: stream?.contactMs ?? this.#contactMs,
      contactAtMs: stream?.contactAtMs ?? this.#contactAtMs,
      heartbeatMs: this.#options.heartbeatMs,
      sourceClock: this.#time.status,
      ...readerFreshness({
        writer,
        stream,
        head: this.#head,
        nowMs,
        sourceNowMs: this.#time.sourceNowAtMostMs,
      }),
    };
  }

  // -- the machine ---------------------------------------------------------------------------------------------------

  #input(input: ReaderInput): void {
    const before = this.#memory;
    const [memory, effects] = stepReader(before, input, this.#rim.policy);
    this.#memory = memory;
    if (memory.state !== before.state) {
      this.#rim.post({ type: 'state', state: memory.state });
      this.#logState(before);
    }
    for (const effect of effects) this.#run(effect);
  }

  #run(effect: ReaderEffect): void {
    switch (effect.type) {
      case 'connect':
        this.#pursuit = this.#pursuit.then(() => this.#pursue(effect.goal));
        return;
      case 'part':
        this.#head?.stop('the reader is paused');
        this.#attempt.abort();
        this.#stream?.stop();
        return;
      case 'close':
        void this.#close();
        return;
      case 'retry-after':
        this.#retryTimer = setTimeout(() => this.#input({ type: 'retry-due' }), effect.ms);
        return;
      case 'cancel-retry':
        clearTimeout(this.#retryTimer);
        return;
      case 'report-stopped':
        this.#rim.post({ type: 'stopped', cause: effect.cause });
        this.#rim.ended();
        return;
    }
  }

  #failure(error: MillraceError): ReaderInput {
    this.#lastError = toPlain(error);
    // The account may be allowed one connection only: it belongs to the dump.
    this.#head?.stop('the dump is down');
    const { clock, random } = this.#rim;
    return { type: 'failed', error: this.#lastError, nowMs: clock.wallMs(), random: random() };
  }

  // -- effects -------------------------------------------------------------------------------------------------------

  /** Never rejects: whatever happens becomes an input. */
  async #pursue(goal: ReaderGoal): Promise<void> {
    // It was paused or stopped while the attempt before was still ending.
    if (this.#memory.state.at !== 'connecting') return;
    const attempt = new AbortController();
    this.#attempt = attempt;
    try {
      if (goal === 'stream') await this.#readOn(attempt.signal);
      else await this.#discover(attempt.signal);
    } catch (error) {
      if (!attempt.signal.aborted) this.#input(this.#failure(this.#afterDropping(asMillraceError(error))));
    }
    if (attempt.signal.aborted) this.#dropParted();
  }

  /** A pause leaves whole transactions only, as a failure does; a stop closes the log, which does it as well. */
  #dropParted(): void {
    const { at } = this.#memory.state;
    if (at === 'stopping' || at === 'stopped') return;
    try {
      this.#relay.dropUnfinished();
    } catch (error) {
      this.#input(this.#failure(asMillraceError(error)));
    }
  }

  /** How the source counts: the relay log knows it, or the source is asked. */
  async #discover(signal: AbortSignal): Promise<void> {
    let kind = await this.#kindOfRelayLog();
    if (signal.aborted) return;
    const relayLogIsEmpty = kind === null;
    if (kind === null && this.#memory.paused) return this.#input({ type: 'parked' });
    kind ??= await this.#withConnection(signal, async (connection, facts) => {
      return discoverKind(connection, facts, { ...this.#options, identity: this.#identity, retrieved: null });
    });
    if (signal.aborted) return;
    this.#input({ type: 'discovered', waitingFor: 'waiting for the target' });
    this.#rim.post({ type: 'source', kind, relayLogIsEmpty });
    this.#ready = true;
    this.#startWhenReady();
  }

  async #kindOfRelayLog(): Promise<PositionKind | null> {
    try {
      return (await this.#openRelayLog()).kind;
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'RELAY_CORRUPT') throw error;
      this.#log.warn('the relay log cannot be recovered', { cause: error.message, ...error.facts });
      return null;
    }
  }

  async #openRelayLog(): Promise<RelayLogWriter> {
    const writer = await this.#relay.open();
    this.#time.opened();
    return writer;
  }

  async #withConnection<T>(
    signal: AbortSignal,
    work: (connection: WireConnection, facts: SourceFacts) => Promise<T>,
  ): Promise<T> {
    const connection = await openConnection(this.#options.endpoint, {
      purpose: 'the source',
      signal,
      queryTimeoutMs: STATEMENT_TIMEOUT_MS,
      readBufferLength: READ_BUFFER_LENGTH,
    });
    try {
      const mark = this.#time.mark();
      const facts = await readSourceFacts(connection, this.#rim.clock);
      this.#time.learn(facts.time, mark);
      this.#noteSource(facts);
      return await work(connection, facts);
    } finally {
      connection.close();
    }
  }

  async #readOn(signal: AbortSignal): Promise<void> {
    const writer = await this.#openRelayLog();
    const source = await this.#withConnection(signal, (connection, facts) => {
      return prepareDump(connection, facts, {
        identity: this.#identity,
        heartbeatMs: this.#options.heartbeatMs,
        start: this.#options.start,
        retrieved: writer.retrieved,
        executed: this.#executed,
        known: this.#relay.known,
      });
    });
    if (signal.aborted) {
      source.socket.destroy();
      return;
    }
    const stream = new DumpStream(source, {
      writer,
      clock: this.#rim.clock,
      log: this.#log,
      heartbeatMs: this.#options.heartbeatMs,
      syncMs: this.#options.syncMs,
      onStreaming: () => {
        this.#log.info('reader streams', {
          source: `${source.peer.host}:${source.peer.port}`,
          uuid: source.facts.serverUuid,
          version: source.facts.serverVersion,
          server_id: source.serverId,
          tls: source.tls,
          semi_sync: source.semiSync,
          from: source.base.toString().slice(0, LOGGED_SET_MAX),
        });
        this.#time.streams(source.facts.serverId);
        this.#head?.follow(source.kind, source.facts);
        this.#input({ type: 'streaming', nowMs: this.#rim.clock.wallMs() });
      },
      onArrival: (newest, wentBack) => this.#time.arrival(newest, wentBack),
      commitMs: this.#commitMs,
      onProgress: () => this.#input({ type: 'progress' }),
    });
    this.#stream = stream;
    try {
      await stream.run();
    } finally {
      this.#transactionsBefore += stream.transactions;
      this.#bytesBefore += stream.bytes;
      this.#contactMs = stream.contactMs ?? this.#contactMs;
      this.#contactAtMs = stream.contactAtMs ?? this.#contactAtMs;
      this.#commitMs = stream.commitMs;
      this.#time.ends();
      this.#stream = null;
    }
  }

  /** The relay log keeps whole transactions only; a disk that fails now is the worse news. */
  #afterDropping(error: MillraceError): MillraceError {
    try {
      this.#relay.dropUnfinished();
      return error;
    } catch (second) {
      return error.code.startsWith('DISK') ? error : asMillraceError(second);
    }
  }

  async #close(): Promise<void> {
    this.#attempt.abort();
    this.#head?.stop('the reader has stopped');
    clearInterval(this.#purgeTimer);
    this.#stream?.stop();
    const kept = this.#time.close();
    const inTime = await this.#relay.close(CLOSE_TIMEOUT_MS);
    await Promise.race([kept, sleep(CLOSE_TIMEOUT_MS)]);
    if (!inTime) this.#log.warn('the disk is slow: the relay log is left to recovery', {});
    this.#input({ type: 'closed' });
  }

  // -- start, relay log ----------------------------------------------------------------------------------------------

  #startWhenReady(): void {
    const start = this.#start;
    if (!this.#ready || start === null || this.#memory.state.at === 'paused') return;
    this.#start = null;
    if (this.#memory.state.at === 'idle') void this.#startNow(start.executed, start.reset);
    else this.#log.warn('a second start is ignored', { state: this.#memory.state.at });
  }

  async #startNow(executed: string | null, reset: boolean): Promise<void> {
    this.#executed = executed;
    try {
      if (reset) {
        await this.#relay.reset();
        this.#commitMs = null;
        this.#time.restart();
      } else if (this.#relay.corrupt !== null) throw this.#relay.corrupt;
    } catch (error) {
      this.#input(this.#failure(asMillraceError(error)));
      return;
    }
    if (this.#memory.state.at === 'paused') this.#start = { type: 'start', executed, reset: false };
    if (this.#memory.state.at !== 'idle') return;
    const empty = (this.#relay.writer?.retrieved ?? null) === null;
    if (executed === null && empty) this.#input({ type: 'wait', reason: 'waiting for the target' });
    else this.#input({ type: 'start', goal: 'stream' });
  }

  #purge(): void {
    if (this.#neededFrom === 0) return;
    try {
      this.#relay.purge(this.#neededFrom, this.#retentionMs, this.#rim.clock.wallMs());
    } catch (error) {
      this.#attempt.abort();
      this.#stream?.stop();
      this.#input(this.#failure(asMillraceError(error)));
    }
  }

  // -- telling -------------------------------------------------------------------------------------------------------

  #noteSource(facts: SourceFacts): void {
    const before = this.#facts?.serverUuid ?? null;
    if (before !== null && facts.serverUuid !== before) {
      this.#log.warn('the source is another server than before', { before, now: facts.serverUuid });
    }
    this.#facts = facts;
  }

  /** Repeated failures of one kind are told once, and once more when they are over. */
  #logState(before: ReaderMemory): void {
    const { state, failures } = this.#memory;
    if (state.at === 'backing-off') {
      const { code, message, hint, facts } = state.cause;
      const again = before.failures > 0 && failures > 1;
      const level = again ? 'debug' : 'warn';
      this.#log[level]('reader lost the source, retrying', {
        attempt: failures,
        code,
        cause: message,
        hint,
        ...facts,
      });
    } else if (state.at === 'streaming' && failures > 0) {
      this.#log.info('reader has recovered', { failures });
    } else if (state.at === 'stopping' && state.cause !== null) {
      const { code, message, hint, facts } = state.cause;
      this.#log.error('reader stops', { code, cause: message, hint, ...facts });
    }
  }
}

function asMillraceError(error: unknown): MillraceError {
  if (error instanceof MillraceError) return error;
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new MillraceError('INTERNAL', text, {
    hint: 'This is a fault in Millrace: please report it with this text.',
  });
}
