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
  for (const key of new Set([...old.keys(), ...now.keys()])) {
    const [from, to] = [old.get(key), now.get(key)];
    if (from !== undefined && to !== undefined && from.compared === to.compared) continue;
    const { path, live: mayChange } = (from ?? to)!;
    const live = mayChange && from !== undefined && to !== undefined;
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
  /** As it is shown. Two leaves may have the same one: names have dots. */
  readonly path: string;
  readonly compared: string;
  readonly text: string;
  readonly live: boolean;
}

/** Not settings: how the file was named, and what was remarked about it. */
const NO_SETTINGS = new Set(['file', 'warnings']);

/** By whose key it is, and where it stands there. */
type Leaves = Map<string, Leaf>;

/** The names of what the keys belong to: none, a channel, or a channel and a target. */
type Owner = readonly string[];

function leavesOf(config: Config): Leaves {
  const leaves: Leaves = new Map();
  for (const [key, value] of Object.entries(config)) {
    if (key === 'channels') for (const channel of config.channels) gatherChannel(channel, leaves);
    else if (!NO_SETTINGS.has(key)) gather(value, [], [key], leaves, isLiveSetting);
  }
  return leaves;
}

function isLiveSetting(keys: readonly string[]): boolean {
  return keys.join('.') === 'log.level';
}

function gatherChannel({ targets, name, ...channel }: ChannelConfig, into: Leaves): void {
  // A channel or target that comes or goes is one line, not one for each of its keys.
  put(into, [name], [], { compared: 'channel', text: 'a channel', live: false });
  gather(channel, [name], [], into, (keys) => keys.join('.') === 'relayLog.retentionMs');
  for (const target of targets) gatherTarget(target, name, into);
}

const LIVE_OF_TARGET = new Set(['delayMs', 'rules', 'guards']);

function gatherTarget({ name, ...target }: TargetConfig, channel: string, into: Leaves): void {
  put(into, [channel, name], [], { compared: 'target', text: 'a target', live: false });
  gather(target, [channel, name], [], into, ([first = '']) => LIVE_OF_TARGET.has(first));
}

function gather(
  value: unknown,
  owner: Owner,
  keys: readonly string[],
  into: Leaves,
  isLive: (keys: readonly string[]) => boolean,
): void {
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Secret)) {
    for (const [key, part] of Object.entries(value)) gather(part, owner, [...keys, key], into, isLive);
    return;
  }
  const compared = value instanceof Secret ? value.reveal() : (JSON.stringify(value) ?? 'undefined');
  put(into, owner, keys, { compared, text: valueText(value, keys.at(-1)!), live: isLive(keys) });
}

function put(into: Leaves, owner: Owner, keys: readonly string[], leaf: Omit<Leaf, 'path'>): void {
  const path = [...owner, ...(keys.length === 0 ? [] : [keysText(keys)])].join('.');
  into.set(JSON.stringify([owner, keys]), { path, ...leaf });
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

function keysText(keys: readonly string[]): string {
  const words = keys
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
