/**
 * Whether this machine can hold what is to be kept, and agrees with the servers on what time it is.
 */
import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { RelayLogConfig } from '../config/config.ts';
import { formatDuration } from '../config/units.ts';
import type { ChannelFacts } from './channel-facts.ts';
import type { Findings } from './finding.ts';
import { shellRemedy, shellWord, yamlRemedy } from './remedy.ts';
import type { ServerSurvey } from './server-survey.ts';

/** Neither lag nor delay goes by a wall clock; people who read two logs side by side do. */
const CLOCK_DIFF_MS_MAX = 1_000;
const HOUR_MS = 3_600_000;

/** data_dir itself, once for all channels. */
export function checkDataDir(found: Findings, dataDir: string): void {
  const existing = nearestFolder(dataDir);
  try {
    accessSync(existing, constants.W_OK | constants.X_OK);
  } catch {
    found.error('data_dir', 'DISK', `${existing} cannot be written to by ${userName()}`, {
      remedy: shellRemedy('host', 'as root', `install -d -m 700 -o ${userName()} ${shellWord(dataDir)}`),
    });
    return;
  }
  if (existing !== dataDir) {
    found.ok('data_dir', `${dataDir} will be made`);
    return;
  }
  const mode = statSync(dataDir).mode & 0o777;
  if ((mode & 0o077) === 0) {
    found.ok('data_dir', `${dataDir}, writable, for us alone`);
    return;
  }
  found.warning(
    'data_dir',
    `${dataDir} has mode ${mode.toString(8)}: others may read everybody's rows in the relay log`,
    { remedy: shellRemedy('host', '', `chmod 700 ${shellWord(dataDir)}`) },
  );
}

function nearestFolder(path: string): string {
  for (let folder = path; ; folder = dirname(folder)) {
    if (existsSync(folder) || folder === dirname(folder)) return folder;
  }
}

function userName(): string {
  return process.getuid === undefined ? 'this user' : String(process.getuid());
}

export function checkRelayLog(found: Findings, { relay }: ChannelFacts): void {
  const { error, files, bytes, dir } = relay;
  if (error !== null) {
    if (error.code === 'RELAY_CORRUPT') {
      found.warning('relay_log', `${error.message}: it is fetched again, from where the targets stand`);
    } else {
      found.error('relay_log', error.code, error.message, {
        remedy: shellRemedy('host', 'as root', `chown -R ${userName()} ${shellWord(dir)}`),
        advice: error.hint ?? null,
      });
    }
  } else if (files === 0) {
    found.ok('relay_log', 'empty');
  } else {
    found.ok('relay_log', `${files} files, ${sizeText(bytes)}, readable`);
  }
}

/** What the delay and the retention keep, at the pace that the source has written in lately. */
export function checkDisk(found: Findings, facts: ChannelFacts): void {
  const { config, source, relay } = facts;
  const folder = nearestFolder(relay.dir);
  const { bavail, bsize } = statfsSync(folder);
  const room = bavail * bsize + relay.bytes;
  if (!source.ok) {
    found.skipped('disk', `${sizeText(room)} free; how fast the source writes is not known`);
    return;
  }
  const { rate } = source.is;
  if (rate === null) {
    found.skipped(
      'disk',
      `${sizeText(room)} free; how fast the source writes is not known (${whyUnknown(facts)})`,
    );
    return;
  }
  const { windowMs, delayMs } = keptWindow(facts);
  const bytesPerMs = rate.bytes / (rate.seconds * 1000);
  const needed = bytesPerMs * windowMs + Math.min(config.relayLog.maxFileSize, bytesPerMs * HOUR_MS);
  const pace = `the source writes ${sizeText(bytesPerMs * HOUR_MS)} an hour (over ${spanText(rate.seconds)})`;
  const kept = `delay and retention keep ${formatDuration(windowMs)}`;
  if (needed <= room) {
    found.ok('disk', `${sizeText(room)} free; ${pace}, ${kept}: ${sizeText(needed)}`);
    return;
  }
  const fits = Math.floor((room * 0.8) / bytesPerMs - delayMs);
  const retention = retentionThatFits(config.relayLog, fits);
  found.warning('disk', `${sizeText(room)} free, and ${sizeText(needed)} needed: ${pace}, ${kept}`, {
    remedy:
      retention === null
        ? null
        : yamlRemedy(`channels[${config.name}].relay_log`, `retention: ${formatDuration(retention)}`),
    advice:
      retention === null ? 'The delay alone needs more: give data_dir a larger disk.' : 'Or a larger disk.',
  });
}

function whyUnknown({ source }: ChannelFacts): string {
  if (source.ok && source.is.binaryLogs === null) return 'the account may not list its binary logs';
  return 'its binary logs are too young, or it did not say';
}

function keptWindow({ config }: ChannelFacts): { windowMs: number; delayMs: number } {
  const delayMs = Math.max(0, ...config.targets.map((target) => target.delayMs));
  return { delayMs, windowMs: delayMs + config.relayLog.retentionMs };
}

/** In whole hours, or minutes; null: nothing fits. */
function retentionThatFits({ retentionMs }: RelayLogConfig, fitsMs: number): number | null {
  if (fitsMs < 60_000) return null;
  const unit = fitsMs >= HOUR_MS ? HOUR_MS : 60_000;
  return Math.min(retentionMs, Math.floor(fitsMs / unit) * unit);
}

/** Of every server that answered. */
export function checkClock(found: Findings, server: ServerSurvey): void {
  const { clockDiffMs, clockErrorMs } = server;
  if (clockDiffMs === null) {
    found.skipped('clock', 'the server does not tell fractions of a second');
    return;
  }
  const off = Math.abs(clockDiffMs) - clockErrorMs;
  const seconds = (Math.abs(clockDiffMs) / 1000).toFixed(1);
  if (off <= CLOCK_DIFF_MS_MAX) {
    found.ok('clock', 'agrees with ours');
    return;
  }
  const direction = clockDiffMs > 0 ? 'ahead of' : 'behind';
  const effect =
    server.on === 'source'
      ? 'a time that `until` and `find` are given is the source’s, one in our log is ours'
      : 'its log and ours tell one moment as two';
  found.warning(
    'clock',
    `its clock is ${seconds} s ${direction} ours: ${effect}. Lag and delay go by neither`,
    {
      remedy: shellRemedy('host', 'and on the server: one of the two is wrong', 'timedatectl set-ntp true'),
    },
  );
}

function sizeText(bytes: number): string {
  let value = bytes;
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (value < 1024) return `${value >= 100 || unit === 'B' ? Math.round(value) : value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} TiB`;
}

function spanText(seconds: number): string {
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} days`;
}
