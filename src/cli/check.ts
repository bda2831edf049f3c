/**
 * `millrace check`: reads the configuration as `start` would, lists everything that is wrong with it, and says in plain
 * words what would run. It does not connect to any server.
 */

import { delayBudget, diskRoom, tooLongADelay } from '../channel/disk-room.ts';
import type { ChannelConfig, Config } from '../config/config.ts';
import { problemLine } from '../config/config-file.ts';
import { readConfig } from '../config/load-config.ts';
import { formatDuration, formatSize } from '../config/units.ts';
import { EXIT, type ExitCode, type Terminal } from './terminal.ts';
import { type ConfigArguments, configFile } from './verb.ts';

export async function check(args: ConfigArguments, terminal: Terminal): Promise<ExitCode> {
  const file = configFile(args, terminal);
  const result = readConfig(file, terminal.env);
  if (!result.ok) {
    for (const problem of result.problems) terminal.err(`${problemLine(file, problem)}\n`);
    return EXIT.usage;
  }
  const { config } = result;
  for (const warning of config.warnings) terminal.err(`warning: ${warning}\n`);
  terminal.out(`data_dir ${config.dataDir}\n`);
  for (const channel of config.channels) terminal.out(channelText(channel, config.dataDir));
  const tooLong = delaysTooLong(config);
  for (const line of tooLong) terminal.err(`${file}: ${line}\n`);
  if (tooLong.length > 0) return EXIT.usage;
  terminal.out(`${file}: the configuration is valid; the servers were not contacted\n`);
  return EXIT.done;
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
