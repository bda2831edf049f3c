/**
 * `millrace check`: reads the configuration as `start` would, says in plain words what would run, and then looks at the
 * servers, the relay logs and this machine (src/preflight): a line for everything looked at, and with each that is to be mended
 * the text to paste. `--offline` stops after the configuration.
 *
 * Exit codes: 0 nothing wrong, warnings perhaps; 1 an error was found; 2 usage or configuration.
 */
import { join } from 'node:path';
import { MillraceError } from '../base/errors.ts';
import { systemClock } from '../base/runtime.ts';
import { controlSocketPath } from '../channel/control-socket.ts';
import { delayBudget, diskRoom, tooLongADelay } from '../channel/disk-room.ts';
import { endpointOptions } from '../channel/endpoint-options.ts';
import { channelUuid, readIdentity } from '../channel/identity.ts';
import { relayDirectory } from '../channel/relay-directory.ts';
import { runningProcess } from '../channel/run-lock.ts';
import type { ChannelConfig, Config, ConfigProblem } from '../config/config.ts';
import { problemLine } from '../config/config-file.ts';
import { readConfig } from '../config/load-config.ts';
import { formatDuration, formatSize } from '../config/units.ts';
import { type Finding, Findings } from '../preflight/finding.ts';
import { checkDataDir } from '../preflight/host-checks.ts';
import { checkChannel } from '../preflight/preflight.ts';
import { yamlRemedy } from '../preflight/remedy.ts';
import { countFindings, HOST, renderFindings, summaryText } from './render-findings.ts';
import { EXIT, type ExitCode, type Terminal } from './terminal.ts';
import { type ConfigArguments, configFile } from './verb.ts';

export interface CheckArguments extends ConfigArguments {
  readonly json: boolean;
  readonly offline: boolean;
}

/** The shape of `check --json`. Keys are never taken away or given another meaning; new ones may come. */
export interface CheckReport {
  readonly config: string;
  readonly data_dir: string;
  /** No error was found. */
  readonly ok: boolean;
  readonly errors: number;
  readonly warnings: number;
  /** About data_dir and this machine. */
  readonly host: readonly Finding[];
  readonly channels: readonly { readonly name: string; readonly findings: readonly Finding[] }[];
}

export async function check(args: CheckArguments, terminal: Terminal): Promise<ExitCode> {
  const file = configFile(args, terminal);
  const result = readConfig(file, terminal.env);
  if (!result.ok) return refuse(file, result.problems, args, terminal);
  const { config } = result;
  for (const warning of config.warnings) terminal.err(`warning: ${warning}\n`);
  if (!args.json) {
    terminal.out(`data_dir ${config.dataDir}\n`);
    for (const channel of config.channels) terminal.out(channelText(channel, config.dataDir));
  }
  const tooLong = delaysTooLong(config);
  for (const line of tooLong) terminal.err(`${file}: ${line}\n`);
  if (tooLong.length > 0) return EXIT.usage;
  if (args.offline) {
    if (args.json) terminal.out(`${JSON.stringify(reportOf(file, config, [], []), null, 2)}\n`);
    else terminal.out(`${file}: the configuration is valid; the servers were not contacted\n`);
    return EXIT.done;
  }
  const report = await look(
    file,
    config,
    args.json ? () => {} : (text) => terminal.out(text),
    terminal.colour,
  );
  if (args.json) terminal.out(`${JSON.stringify(report, null, 2)}\n`);
  else terminal.out(`\n${file}: ${summaryText(allFindings(report))}\n`);
  return report.ok ? EXIT.done : EXIT.failed;
}

function refuse(
  file: string,
  problems: readonly ConfigProblem[],
  args: CheckArguments,
  terminal: Terminal,
): ExitCode {
  if (args.json) terminal.out(`${JSON.stringify({ config: file, ok: false, problems }, null, 2)}\n`);
  else for (const problem of problems) terminal.err(`${problemLine(file, problem)}\n`);
  return EXIT.usage;
}

/** `say` gets each part as soon as it is known. */
async function look(
  file: string,
  config: Config,
  say: (text: string) => void,
  colour: boolean,
): Promise<CheckReport> {
  const host = hostFindings(config);
  say(renderFindings(HOST, host, colour));
  const runningPid = runningProcess(config.dataDir)?.pid ?? null;
  const identity = readIdentity(config.dataDir);
  const channels: { name: string; findings: Finding[] }[] = [];
  for (const channel of config.channels) {
    const { name, source, targets } = channel;
    const findings = await checkChannel({
      config: channel,
      source: endpointOptions(source.endpoint),
      targets: targets.map(({ endpoint }) => endpointOptions(endpoint)),
      relayDir: relayDirectory(config.dataDir, name),
      replicaUuid: identity === null ? null : channelUuid(identity, name),
      runningPid,
      depth: 'check',
      wallMs: systemClock.wallMs,
    });
    say(renderFindings(`channel ${name}`, findings, colour));
    channels.push({ name, findings });
  }
  return reportOf(file, config, host, channels);
}

function reportOf(
  file: string,
  config: Config,
  host: readonly Finding[],
  channels: CheckReport['channels'],
): CheckReport {
  const { error, warning } = countFindings([...host, ...channels.flatMap(({ findings }) => findings)]);
  return {
    config: file,
    data_dir: config.dataDir,
    ok: error === 0,
    errors: error,
    warnings: warning,
    host,
    channels,
  };
}

function allFindings({ host, channels }: CheckReport): Finding[] {
  return [...host, ...channels.flatMap(({ findings }) => findings)];
}

function hostFindings({ dataDir }: Config): readonly Finding[] {
  const found = new Findings('host');
  checkDataDir(found, dataDir);
  try {
    controlSocketPath(dataDir);
    found.ok('control_socket', join(dataDir, 'millrace.sock'));
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    found.thrown('control_socket', error, {
      remedy: yamlRemedy('top level', 'data_dir: /var/lib/millrace'),
      advice: 'Or any other folder with a short name; move what is in the old one.',
    });
  }
  return found.all;
}

/** By what the relay logs that are there tell of their sources. */
function delaysTooLong({ dataDir, channels }: Config): string[] {
  return channels.flatMap(({ name, targets }, index) => {
    const room = diskRoom(dataDir, name);
    return targets.flatMap(({ delayMs }, number) => {
      const line = tooLongADelay(room, delayMs);
      return line === null ? [] : [`channels[${index}].targets[${number}].delay: ${line}`];
    });
  });
}

function channelText(channel: ChannelConfig, dataDir: string): string {
  const { source, relayLog } = channel;
  const sync = relayLog.syncMs === 0 ? 'always' : formatDuration(relayLog.syncMs);
  const lines = [
    `channel ${channel.name}`,
    `  source ${source.endpoint.user}@${source.endpoint.host}:${source.endpoint.port}, tls ${source.endpoint.tls.mode}, ` +
      `server_id ${source.serverId ?? 'derived'}, start ${source.start.at}, heartbeat ${formatDuration(source.heartbeatMs)}`,
    `  relay log files of ${formatSize(relayLog.maxFileSize)}, sync ${sync}, kept ${formatDuration(relayLog.retentionMs)}`,
  ];
  const room = diskRoom(dataDir, channel.name);
  for (const { name, endpoint, mode, progress, workers, commitOrder, delayMs } of channel.targets) {
    lines.push(
      `  target ${name} ${endpoint.user}@${endpoint.host}:${endpoint.port}, tls ${endpoint.tls.mode}, mode ${mode}, ` +
        `progress ${progress}, workers ${workers}, commit_order ${commitOrder}`,
    );
    if (delayMs > 0) {
      const budget = room === null ? '' : `; ${delayBudget(room, delayMs)}`;
      lines.push(`    delay ${formatDuration(delayMs)}${budget}`);
    }
  }
  return `${lines.join('\n')}\n`;
}
