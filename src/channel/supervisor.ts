/**
 * The process: lock, identity, control socket, channels; started in this order and stopped in the reverse.
 *
 * It goes on while channels fail, as a replica does: `status` shows the state and the reason. Only when, at the start,
 * no channel can do anything at all (its reader or all its targets have stopped for a reason that an operator must
 * mend, and nothing is left to apply), the process ends with code 1 and says why.
 */
import { hostname } from 'node:os';
import { type PlainError, referredErrorLine, toPlain } from '../base/errors.ts';
import type { Clock, Logger } from '../base/runtime.ts';
import type { Config, LogLevel } from '../config/config.ts';
import { AlarmMemory } from './alarm-memory.ts';
import { AuditLog } from './audit-log.ts';
import { Channel, type ChannelSnapshot } from './channel.ts';
import { ControlDesk } from './control-desk.ts';
import { channelWishes } from './control-document.ts';
import type { ControlRequest } from './control-requests.ts';
import { ControlServer } from './control-socket.ts';
import { ControlStore } from './control-store.ts';
import { GuardAlarms } from './guard-alarms.ts';
import { loadIdentity } from './identity.ts';
import { Reload } from './reload.ts';
import { RunLock } from './run-lock.ts';
import type { ThreadEntries } from './thread-entries.ts';

const START_CHECK_MS = 200;

export interface SupervisorOptions {
  readonly config: Config;
  readonly entries: ThreadEntries;
  readonly log: Logger;
  readonly clock: Clock;
  /** Reads the configuration again, for a reload. Throws CONFIG, NOT_IN_THIS_VERSION. */
  readonly readAgain: () => Config;
  readonly setLogLevel: (level: LogLevel) => void;
  /** Makes what `status` answers from what the channels are. */
  readonly compose: (channels: readonly ChannelSnapshot[]) => unknown;
}

export interface SupervisorEnd {
  readonly exitCode: 0 | 1;
  /** One line for each channel that could not start. */
  readonly failures: readonly string[];
}

export class Supervisor {
  readonly ended: Promise<SupervisorEnd>;
  readonly #options: SupervisorOptions;
  readonly #channels: Channel[];
  readonly #lock: RunLock;
  readonly #desk: ControlDesk;
  readonly #reload: Reload;
  readonly #alarms: GuardAlarms;
  #control: ControlServer | null = null;
  #resolveEnded: (end: SupervisorEnd) => void = () => {};
  #stopping = false;
  #startCheck: NodeJS.Timeout | null = null;

  private constructor(options: SupervisorOptions, lock: RunLock, identity: string) {
    this.#options = options;
    this.#lock = lock;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    const { config, entries, log, clock } = options;
    const owner = `${hostname()} pid ${process.pid} ${config.dataDir}`;
    const store = ControlStore.open(config.dataDir);
    this.#alarms = new GuardAlarms({ memory: AlarmMemory.open(config.dataDir, log), log, clock });
    this.#channels = config.channels.map((channel) => {
      const { name } = channel;
      return new Channel({
        config: channel,
        dataDir: config.dataDir,
        identity,
        owner,
        entries,
        log,
        clock,
        wishes: () => channelWishes(store.document, name),
        onExecuted: (target, ids) => this.#desk.executed(name, target, ids),
        alarms: this.#alarms,
      });
    });
    const audit = new AuditLog(config.dataDir, () => clock.wallMs());
    this.#desk = new ControlDesk({ channels: this.#channels, store, audit, log });
    const { readAgain, setLogLevel } = options;
    this.#reload = new Reload(config, { channels: this.#channels, audit, log, readAgain, setLogLevel });
  }

  /** Resolves when the channels' threads are being started. Throws ALREADY_RUNNING, DISK, CONFIG. */
  static async start(options: SupervisorOptions): Promise<Supervisor> {
    const { dataDir } = options.config;
    const lock = await RunLock.acquire(dataDir);
    try {
      const supervisor = new Supervisor(options, lock, loadIdentity(dataDir));
      supervisor.#control = await ControlServer.listen(dataDir, (request) => supervisor.handle(request));
      for (const channel of supervisor.#channels) channel.start();
      supervisor.#checkStartLater();
      return supervisor;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  snapshots(): Promise<ChannelSnapshot[]> {
    return Promise.all(this.#channels.map((channel) => channel.snapshot()));
  }

  /** Finishes what is in flight, closes everything; `ended` resolves. */
  stop(failures: readonly string[] = []): void {
    if (this.#stopping) return;
    this.#stopping = true;
    if (this.#startCheck !== null) clearTimeout(this.#startCheck);
    void this.#stopAll(failures);
  }

  async #stopAll(failures: readonly string[]): Promise<void> {
    let exitCode: 0 | 1 = failures.length === 0 ? 0 : 1;
    await Promise.all(this.#channels.map((channel) => channel.stop()));
    this.#alarms.close();
    try {
      await this.#control?.close();
      this.#lock.release();
    } catch (error) {
      this.#options.log.error('data_dir could not be tidied up', { cause: toPlain(error).message });
      exitCode = 1;
    }
    this.#resolveEnded({ exitCode, failures });
  }

  /** As SIGHUP asks for it: what comes of it stands in the log. */
  reload(): void {
    void this.#reload.runForSignal((work) => this.#desk.inTurn(work));
  }

  /** Over whatever way it came. Throws what keeps it from being carried out. */
  async handle(request: ControlRequest): Promise<unknown> {
    switch (request.do) {
      case 'ping':
        return { pid: process.pid };
      case 'status':
        return this.#options.compose(await this.snapshots());
      case 'stop':
        this.#options.log.info('stop requested over the control socket');
        // The answer goes out first.
        setImmediate(() => this.stop());
        return { pid: process.pid };
      case 'reload':
        return this.#desk.inTurn(() => this.#reload.run(request.by));
      default:
        return this.#desk.handle(request);
    }
  }

  #checkStartLater(): void {
    this.#startCheck = setTimeout(() => {
      this.#checkStart().catch((error: unknown) => this.#options.log.error('start check failed', { error }));
    }, START_CHECK_MS);
  }

  async #checkStart(): Promise<void> {
    if (this.#stopping || this.#channels.some((channel) => channel.everStreamed)) return;
    if (this.#channels.every((channel) => channel.readerStopped)) {
      const snapshots = await this.snapshots();
      if (this.#stopping) return;
      const causes = snapshots.map((snapshot) => startFailure(snapshot));
      if (causes.every((cause) => cause !== null)) {
        this.stop(
          causes.map((cause, index) => `channel ${snapshots[index]!.name}: ${referredErrorLine(cause)}`),
        );
        return;
      }
    }
    this.#checkStartLater();
  }
}

/** Why a channel that has received nothing yet can do nothing at all; null: it can, or may yet. */
export function startFailure(snapshot: ChannelSnapshot): PlainError | null {
  if (snapshot.everStreamed) return null;
  const { machine, reader, targets } = snapshot;
  if (machine.state.at === 'stopped') return machine.state.cause;
  const cause = machine.reader.stopCause;
  if (cause === null || reader.state.at !== 'stopped') return null;
  const nothingToApply = targets.every(
    (target) =>
      target.state.at === 'stopped' ||
      (target.fresh && target.state.at === 'running' && target.status?.caughtUpWithRelay === true),
  );
  return nothingToApply ? cause : null;
}
