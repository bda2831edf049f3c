/**
 * Where a running Millrace is reached, read from its configuration file without looking at the rest.
 */
import { dirname, resolve } from 'node:path';
import { problemsError, readConfigText } from './config-file.ts';
import { type Environment, YamlSource } from './yaml-source.ts';

/** Where the running Millrace is reached: what `status` and `stop` need of the file. */
export interface ConfigPlaces {
  readonly dataDir: string;
  /** As far as they can be read. */
  readonly channels: readonly string[];
}

/**
 * Reads data_dir and the channels' names alone, so that `status` and `stop` work in a shell that lacks the passwords,
 * and while somebody edits the rest of the file. Throws CONFIG.
 */
export function loadPlaces(file: string, environment: Environment): ConfigPlaces {
  const yaml = new YamlSource(readConfigText(file));
  if (yaml.problems.length === 0) yaml.interpolateAt(['data_dir'], environment);
  if (yaml.problems.length > 0) throw problemsError(file, yaml.problems);
  const root = yaml.toJS() as { data_dir?: unknown; channels?: unknown };
  const dataDir = root.data_dir;
  if (typeof dataDir !== 'string' || dataDir.trim() === '') {
    const message = dataDir === undefined ? 'missing' : 'expected the path of a folder';
    throw problemsError(file, [yaml.locate({ code: 'CONFIG', path: ['data_dir'], message })]);
  }
  const channels: string[] = [];
  for (const channel of Array.isArray(root.channels) ? root.channels : []) {
    if (typeof channel?.name === 'string') channels.push(channel.name);
  }
  return { dataDir: resolve(dirname(resolve(file)), dataDir), channels };
}
