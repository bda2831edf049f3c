/**
 * `millrace reload` and SIGHUP: the configuration is read again, what changed is said line by line, and what may change while
 * Millrace runs changes.
 *
 * All or nothing: a file that is wrong, or a change that needs a restart, changes nothing at all. Rules and guards change at a
 * transaction's border (LiveSettings), the rest at once. Nothing is written down: a restart reads the same file.
 */
import { MillraceError, toPlain } from '../base/errors.ts';
import type { Logger } from '../base/runtime.ts';
import type { Config, LogLevel } from '../config/config.ts';
import { changeLine, diffConfigs, inOrderOf } from '../config/config-diff.ts';
import type { AuditLog } from './audit-log.ts';
import type { Channel } from './channel.ts';
import type { Caller } from './control-requests.ts';
import { durationText } from './control-words.ts';

/** What the verb prints, and with --json the whole of it. */
export interface ReloadAnswer {
  readonly done: 'reload';
  readonly changes: readonly { readonly path: string; readonly from: string; readonly to: string }[];
  readonly message: string;
}

export interface ReloadSurroundings {
  readonly channels: readonly Channel[];
  readonly audit: AuditLog;
  readonly log: Logger;
  /** Throws CONFIG, NOT_IN_THIS_VERSION. */
  readonly readAgain: () => Config;
  readonly setLogLevel: (level: LogLevel) => void;
}

export class Reload {
  readonly #around: ReloadSurroundings;
  #config: Config;

  constructor(config: Config, around: ReloadSurroundings) {
    this.#config = config;
    this.#around = around;
  }

  /**
   * One after the other. Throws what is wrong with the file, NOT_POSSIBLE with what cannot change, or DISK_FULL with a delay that the
   * disk does not hold; nothing has changed then.
   */
  async run(by: Caller | null): Promise<ReloadAnswer> {
    const { audit, log, readAgain, setLogLevel, channels } = this.#around;
    const read = readAgain();
    const changes = diffConfigs(this.#config, read);
    const lines = changes.map((change) => changeLine(change));
    const fixed = changes.filter(({ live }) => !live);
    if (fixed.length > 0) throw needsRestart(fixed.map((change) => changeLine(change)));
    requireRoom(channels, this.#config, read);
    for (const warning of read.warnings) log.warn('configuration warning', { warning });
    if (changes.length === 0)
      return { done: 'reload', changes: [], message: `${read.file} says nothing new` };

    audit.append({ verb: 'reload', changes: lines, by });
    const config = inOrderOf(this.#config, read);
    this.#config = config;
    setLogLevel(config.log.level);
    log.info('configuration reloaded', { changes: lines });
    const taken = await Promise.all(
      channels.map((channel, index) => channel.reconfigure(config.channels[index]!)),
    );
    const remarks = channels.flatMap((channel, index) => remarksOn(channel, taken[index]!));
    return {
      done: 'reload',
      changes: changes.map(({ path, from, to }) => ({ path, from, to })),
      message: [`${read.file} is reloaded:`, ...[...lines, ...remarks].map((line) => `  ${line}`)].join('\n'),
    };
  }

  /** For SIGHUP: the log is where the outcome is told. Never rejects. */
  async runForSignal(inTurn: (work: () => Promise<ReloadAnswer>) => Promise<ReloadAnswer>): Promise<void> {
    const { log } = this.#around;
    try {
      const { changes, message } = await inTurn(() => this.run(null));
      if (changes.length === 0) log.info('configuration reloaded', { changes: [], message });
    } catch (error) {
      const { code, message, hint } = toPlain(error);
      log.error('configuration not reloaded', { code, cause: message, hint });
    }
  }
}

/** Of the delays that grow: one that was there at the start is warned of, and neither keeps other changes out nor a shorter one. */
function requireRoom(channels: readonly Channel[], before: Config, after: Config): void {
  const tooLong: string[] = [];
  for (const channel of channels) {
    const [old, now] = [before, after].map(({ channels }) =>
      channels.find(({ name }) => name === channel.name),
    );
    for (const { name, delayMs } of now?.targets ?? []) {
      const was = old?.targets.find((target) => target.name === name)?.delayMs ?? 0;
      const line = delayMs > was ? channel.tooLong(delayMs) : null;
      if (line !== null) tooLong.push(`${channel.name}.${name}: ${line}`);
    }
  }
  if (tooLong.length === 0) return;
  throw new MillraceError('DISK_FULL', `nothing is reloaded: ${tooLong.join('; ')}`, {
    hint: 'Put data_dir on a larger disk, or write a shorter delay.',
  });
}

function remarksOn(channel: Channel, taken: readonly boolean[]): string[] {
  const remarks: string[] = [];
  for (const [index, { name }] of channel.config.targets.entries()) {
    const override = channel.wishesOf(name).delayMs;
    if (override !== null) {
      const until = `millrace delay ${name} configured`;
      remarks.push(`${channel.name}.${name} stays delayed by ${durationText(override)}, until ${until}`);
    }
    if (!taken[index] && channel.targetLives(index)) {
      remarks.push(`${channel.name}.${name} takes new rules when what is in flight is committed`);
    }
  }
  return remarks;
}

function needsRestart(lines: readonly string[]): MillraceError {
  const what = lines.length === 1 ? 'this' : 'these';
  return new MillraceError(
    'NOT_POSSIBLE',
    `nothing is reloaded, since ${what} cannot change while Millrace runs: ${lines.join('; ')}`,
    { hint: 'Restart Millrace for it, or take it back.' },
  );
}
