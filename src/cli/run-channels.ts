/**
 * What `millrace start` does: runs the channels, in the foreground or detached.
 *
 * In the foreground the log goes to stdout. It ends with 0 after a signal or `millrace stop`; with 1 when, at the start,
 * no channel could do anything at all; with 2 when the configuration is wrong. A channel that fails later, or beside
 * others that run, is left as it is with state and reason in `status`, as a replica does.
 *
 * Detached, see daemon.ts: 0 when all channels run, 3 when one is degraded or stopped, 1 when the process ended again.
 */
import { referredErrorLine, toPlain } from '../base/errors.ts';
import { type Logger, systemClock } from '../base/runtime.ts';
import { createLogger } from '../channel/log.ts';
import { onSignals } from '../channel/process-signals.ts';
import { Supervisor } from '../channel/supervisor.ts';
import type { ThreadEntries } from '../channel/thread-entries.ts';
import type { Config, HttpConfig } from '../config/config.ts';
import { loadConfig } from '../config/load-config.ts';
import { Observer } from '../observe/observer.ts';
import { RecentEvents } from '../observe/recent-events.ts';
import { isDetached, startDetached, tellParent } from './daemon.ts';
import { programVersion } from './program-version.ts';
import type { ExitCode, Terminal } from './terminal.ts';
import { type ConfigArguments, configFile, positiveSeconds } from './verb.ts';

export interface StartArguments extends ConfigArguments {
  readonly daemon: boolean;
  readonly timeout: number;
}

export async function detachChannels(args: StartArguments, terminal: Terminal): Promise<ExitCode> {
  const timeoutMs = positiveSeconds(args.timeout, 'timeout') * 1000;
  return startDetached(ownConfig(args, terminal), timeoutMs, terminal);
}

export async function runChannels(
  args: StartArguments,
  threads: ThreadEntries,
  terminal: Terminal,
): Promise<ExitCode> {
  positiveSeconds(args.timeout, 'timeout');
  return runForeground(ownConfig(args, terminal), threads, terminal);
}

function ownConfig(args: StartArguments, terminal: Terminal): Config {
  const config = loadConfig(configFile(args, terminal), terminal.env);
  // Relay files, sockets and logs hold everybody's data: for our eyes only.
  process.umask(0o077);
  return config;
}

async function runForeground(config: Config, entries: ThreadEntries, terminal: Terminal): Promise<ExitCode> {
  const recent = new RecentEvents();
  const log = createLogger({
    level: config.log.level,
    format: config.log.format ?? (terminal.interactive ? 'pretty' : 'json'),
    write: terminal.out,
    colour: terminal.colour,
    onEntry: (entry) => recent.add(entry),
  });
  const version = programVersion();
  const startedWallMs = systemClock.wallMs();
  let supervisor: Supervisor | null = null;
  let http: { close(): Promise<void> } | null = null;
  const observer = new Observer({
    look: async () => (supervisor === null ? [] : supervisor.snapshots()),
    version,
    startedWallMs,
    clock: systemClock,
    log,
    recent,
  });
  let stopAsked = false;
  const removeSignals = onSignals(
    log,
    () => {
      stopAsked = true;
      supervisor?.stop();
    },
    () => supervisor?.reload(),
  );
  try {
    log.info('millrace starting', { version, pid: process.pid, data_dir: config.dataDir });
    for (const warning of config.warnings) log.warn('configuration warning', { warning });
    supervisor = await Supervisor.start({
      config,
      entries,
      log,
      clock: systemClock,
      readAgain: () => loadConfig(config.file, terminal.env),
      setLogLevel: (level) => log.setLevel(level),
      compose: (channels) => observer.compose(channels),
    });
    observer.start();
    if (stopAsked) supervisor.stop();
    else if (config.http !== null) http = await serveHttp(config.http, observer, supervisor, log);
    const { exitCode, failures } = await supervisor.ended;
    for (const failure of failures) terminal.err(`millrace: ${failure}\n`);
    if (failures.length > 0) tellParent(failures);
    log.info('millrace stopped', { exit_code: exitCode });
    return exitCode;
  } catch (error) {
    if (isDetached()) tellParent([referredErrorLine(toPlain(error))]);
    throw error;
  } finally {
    observer.stop();
    await http?.close();
    removeSignals();
  }
}

/** Throws HTTP_LISTEN; the channels are then stopped. Loaded only where it is used: nobody else waits for it. */
async function serveHttp(
  config: HttpConfig,
  observer: Observer,
  supervisor: Supervisor,
  log: Logger,
): Promise<{ close(): Promise<void> }> {
  try {
    const { listenHttp } = await import('../observe/http-service.ts');
    return await listenHttp(config, observer, (request) => supervisor.handle(request), log);
  } catch (error) {
    supervisor.stop();
    await supervisor.ended;
    throw error;
  }
}
