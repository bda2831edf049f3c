/**
 * What differs between two configurations, line by line in the words of the file, and which of it may change while Millrace runs.
 * Pure.
 *
 * Channels and targets are told apart by name: their order does not count. What is not listed as changeable here is not, so that a key
 * that is new cannot be half reloaded. Secrets are compared and never shown.
 */
import type { ChannelConfig, Config, TargetConfig } from './config.ts';
import { Secret } from './secret.ts';
import { formatDuration, formatSize } from './units.ts';

export interface ConfigChange {
  /** `orders.standby.delay`, `orders.relay_log.retention`, `log.level` */
  readonly path: string;
  readonly from: string;
  readonly to: string;
  /** It may change while Millrace runs. */
  readonly live: boolean;
}

/** As one line: `orders.standby.delay: 30m → 1h`. */
export function changeLine({ path, from, to }: ConfigChange): string {
  return `${path}: ${from} → ${to}`;
}

export function diffConfigs(before: Config, after: Config): ConfigChange[] {
  const [old, now] = [leavesOf(before), leavesOf(after)];
  const changes: ConfigChange[] = [];
  for (const path of new Set([...old.keys(), ...now.keys()])) {
    const [from, to] = [old.get(path), now.get(path)];
    if (from !== undefined && to !== undefined && from.compared === to.compared) continue;
    const live = (from ?? to)!.live && from !== undefined && to !== undefined;
    const shown = from?.text === to?.text ? ['(as it was)', '(changed)'] : [from?.text, to?.text];
    changes.push({ path, from: shown[0] ?? '(not there)', to: shown[1] ?? '(not there)', live });
  }
  return changes;
}

/**
 * The new configuration with channels and targets in the old one's order, which threads are numbered by. Both have the same ones.
 */
export function inOrderOf(before: Config, after: Config): Config {
  const named = <T extends { readonly name: string }>(list: readonly T[], name: string): T =>
    list.find((each) => each.name === name)!;
  const channels = before.channels.map((channel): ChannelConfig => {
    const now = named(after.channels, channel.name);
    const targets = channel.targets.map(({ name }): TargetConfig => named(now.targets, name));
    return { ...now, targets };
  });
  return { ...after, channels };
}

interface Leaf {
  readonly compared: string;
  readonly text: string;
  readonly live: boolean;
}

/** Not settings: how the file was named, and what was remarked about it. */
const NO_SETTINGS = new Set(['file', 'warnings']);

function leavesOf(config: Config): Map<string, Leaf> {
  const leaves = new Map<string, Leaf>();
  for (const [key, value] of Object.entries(config)) {
    if (key === 'channels') for (const channel of config.channels) gatherChannel(channel, leaves);
    else if (!NO_SETTINGS.has(key)) gather(value, [key], leaves, isLiveSetting);
  }
  return leaves;
}

function isLiveSetting(path: readonly string[]): boolean {
  return path.join('.') === 'log.level';
}

function gatherChannel({ targets, name, ...channel }: ChannelConfig, into: Map<string, Leaf>): void {
  // A channel or target that comes or goes is one line, not one for each of its keys.
  into.set(name, { compared: 'channel', text: 'a channel', live: false });
  const isLive = (path: readonly string[]): boolean => path.slice(1).join('.') === 'relayLog.retentionMs';
  gather(channel, [name], into, isLive);
  for (const target of targets) gatherTarget(target, name, into);
}

const LIVE_OF_TARGET = new Set(['delayMs', 'rules', 'guards']);

function gatherTarget({ name, ...target }: TargetConfig, channel: string, into: Map<string, Leaf>): void {
  into.set(`${channel}.${name}`, { compared: 'target', text: 'a target', live: false });
  gather(target, [channel, name], into, (path) => LIVE_OF_TARGET.has(path[2] ?? ''));
}

function gather(
  value: unknown,
  path: readonly string[],
  into: Map<string, Leaf>,
  isLive: (path: readonly string[]) => boolean,
): void {
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Secret)) {
    for (const [key, part] of Object.entries(value)) gather(part, [...path, key], into, isLive);
    return;
  }
  const compared = value instanceof Secret ? value.reveal() : (JSON.stringify(value) ?? 'undefined');
  into.set(pathText(path), { compared, text: valueText(value, path.at(-1)!), live: isLive(path) });
}

/** Where the file's words are not the ones of the parsed configuration. */
const WORDS: Readonly<Record<string, string>> = {
  doDb: 'replicate_do_db',
  ignoreDb: 'replicate_ignore_db',
  doTable: 'replicate_do_table',
  ignoreTable: 'replicate_ignore_table',
  wildDoTable: 'replicate_wild_do_table',
  wildIgnoreTable: 'replicate_wild_ignore_table',
  rewriteDb: 'replicate_rewrite_db',
  onUnparsedDdl: 'on_unparsed_ddl',
  webhook: 'guard_webhook',
};
/** Levels of the parsed configuration that the file does not have. */
const FOLDED = new Set(['rules', 'endpoint']);

function pathText(path: readonly string[]): string {
  const words = path
    .filter((key) => !FOLDED.has(key))
    // `guards.guards`: the file has one level there.
    .filter((key, index, all) => !(key === 'guards' && index < all.length - 1));
  return words.map((key) => WORDS[key] ?? snakeCase(key.replace(/Ms$/, ''))).join('.');
}

function snakeCase(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

const TEXT_LENGTH_MAX = 120;

function valueText(value: unknown, key: string): string {
  // A webhook's URL often holds a token.
  if (value instanceof Secret || (key === 'webhook' && value !== null)) return '***';
  if (typeof value === 'number' && key.endsWith('Ms')) return formatDuration(value);
  if (typeof value === 'number' && key === 'maxFileSize') return formatSize(value);
  if (value === undefined || value === null) return '(not given)';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  if (text.includes('-----BEGIN')) return 'a certificate';
  return text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}…` : text;
}
