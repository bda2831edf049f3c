/**
 * What a channel's threads are given at birth, made from its configuration and from what operators have said.
 */
import type { ApplierOptions, ApplierSettings } from '../applier/applier-messages.ts';
import type { ChannelConfig, StartConfig, TargetConfig } from '../config/config.ts';
import type { ReaderOptions } from '../reader/reader-messages.ts';
import type { SourceClockSnapshot } from '../relay/source-clock.ts';
import { type ChannelWishes, type TargetWishes, targetControl } from './control-document.ts';
import { endpointOptions } from './endpoint-options.ts';
import { channelUuid } from './identity.ts';

/** How often the source is asked where it is. */
const HEAD_EVERY_MS = 1_000;

export interface ThreadSurroundings {
  readonly relayDir: string;
  readonly published: SharedArrayBuffer;
  /** The server_uuid of data_dir (identity.ts). */
  readonly identity: string;
  /** Names this Millrace to others on the same target. */
  readonly owner: string;
  /** What is known about the source's clock. */
  readonly sourceClock: SourceClockSnapshot;
}

export function readerOptions(
  { name, source, relayLog }: ChannelConfig,
  { readerPaused }: ChannelWishes,
  around: ThreadSurroundings,
): ReaderOptions {
  return {
    channel: name,
    endpoint: endpointOptions(source.endpoint),
    serverId: source.serverId,
    replicaUuid: channelUuid(around.identity, name),
    start: source.start,
    heartbeatMs: source.heartbeatMs,
    headEveryMs: HEAD_EVERY_MS,
    relayDir: around.relayDir,
    maxFileSize: relayLog.maxFileSize,
    syncMs: relayLog.syncMs,
    retentionMs: relayLog.retentionMs,
    paused: readerPaused,
    published: around.published,
  };
}

export function applierOptions(
  { name, source }: ChannelConfig,
  target: TargetConfig,
  wishes: TargetWishes,
  around: ThreadSurroundings,
): ApplierOptions {
  return {
    channel: name,
    target: target.name,
    endpoint: endpointOptions(target.endpoint),
    mode: target.mode,
    progress: target.progress,
    workers: target.workers,
    commitOrder: target.commitOrder,
    coalesce: target.coalesce,
    startAt: startText(source.start),
    relayDir: around.relayDir,
    published: around.published,
    owner: around.owner,
    sourceClock: around.sourceClock,
    ...applierSettings(target, wishes),
  };
}

/** The part that may change while the thread lives. */
export function applierSettings(target: TargetConfig, wishes: TargetWishes): ApplierSettings {
  const { delayMs, rules, guards } = target;
  return { delayMs, rules, guards, control: targetControl(wishes) };
}

/** As the text of a position set; null: nothing is given. */
function startText(start: StartConfig): string | null {
  if (start.at === 'auto') return null;
  return start.at === 'gtid_set' ? start.gtidSet : `${start.file}:${start.position}`;
}
