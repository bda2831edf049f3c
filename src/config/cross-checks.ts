/**
 * What one key alone cannot tell: names used twice, keys that exclude each other, a target that is its own source,
 * and what a later version will do and this one refuses.
 */
import type { ConfigPath, ConfigProblem } from './config.ts';
import { checkGuards } from './guard-checks.ts';
import { checkRules } from './rule-checks.ts';
import type { RawChannel, RawConfig, RawEndpoint, RawHttp, RawTarget } from './schema.ts';

/** A problem that still lacks its line: the loader knows where a path stands. */
export interface PathProblem {
  readonly code: ConfigProblem['code'];
  readonly path: ConfigPath;
  readonly message: string;
}

/** Files and folders that Millrace keeps in data_dir: no channel may claim them as its relay log's folder. */
const RESERVED_NAMES = /^(identity|millrace\..*)$/i;

/** What `pause` and `resume` take for the channel's reader, and not for a target. */
const READER = 'reader';

export interface CrossChecks {
  readonly problems: PathProblem[];
  /** What is as it should not be, and works all the same. */
  readonly warnings: readonly PathProblem[];
}

export function crossChecks(config: RawConfig): CrossChecks {
  const problems: PathProblem[] = [];
  const warnings: PathProblem[] = [];
  const warn = (path: ConfigPath, message: string): void => {
    warnings.push({ code: 'CONFIG', path, message });
  };
  const wrong = (path: ConfigPath, message: string): void => {
    problems.push({ code: 'CONFIG', path, message });
  };
  const later = (path: ConfigPath, message: string): void => {
    problems.push({ code: 'NOT_IN_THIS_VERSION', path, message });
  };

  if (config.http !== undefined) checkHttp(config.http, wrong);
  if (config.channels.length === 0) wrong(['channels'], 'needs at least one channel');

  const names = new Map<string, number>();
  for (const [index, channel] of config.channels.entries()) {
    const path = ['channels', index];
    if (RESERVED_NAMES.test(channel.name)) {
      wrong(
        [...path, 'name'],
        `${channel.name} is a name that Millrace uses itself in data_dir; choose another`,
      );
    }
    // The name is a folder, and folders may ignore case.
    const earlier = names.get(channel.name.toLowerCase());
    if (earlier !== undefined) {
      wrong([...path, 'name'], `channels[${earlier}] has the same name; channels need different names`);
    }
    names.set(channel.name.toLowerCase(), index);
    checkChannel(channel, path, wrong);
    for (const [number, target] of channel.targets.entries()) {
      checkRules(target, [...path, 'targets', number], { wrong, warn });
      checkGuards(target, [...path, 'targets', number], wrong);
      refuseLaterFeatures(target, [...path, 'targets', number], later);
    }
  }
  return { problems, warnings };
}

function checkHttp(http: RawHttp, wrong: Report): void {
  const given = (['token', 'token_file'] as const).find((key) => http[key] !== undefined);
  if (http.listen === undefined && (given !== undefined || http.allowed_hosts.length > 0)) {
    wrong(
      ['http', given ?? 'allowed_hosts'],
      'nothing is served without http.listen; give it an address and a port, or remove this key',
    );
  }
  if (http.token !== undefined && http.token_file !== undefined) {
    wrong(['http', 'token_file'], 'token is given as well; keep one of the two');
  }
}

type Report = (path: ConfigPath, message: string) => void;

function checkChannel(channel: RawChannel, path: ConfigPath, wrong: Report): void {
  checkEndpoint(channel.source, [...path, 'source'], wrong);
  if (channel.targets.length === 0) wrong([...path, 'targets'], 'needs at least one target');
  const names = new Map<string, number>();
  const endpoints = new Map<string, number>();
  for (const [index, target] of channel.targets.entries()) {
    const targetPath = [...path, 'targets', index];
    checkEndpoint(target, targetPath, wrong);
    const sameName = names.get(target.name);
    if (sameName !== undefined) {
      wrong([...targetPath, 'name'], `targets[${sameName}] has the same name; targets need different names`);
    }
    names.set(target.name, index);
    if (target.name === READER) {
      wrong(
        [...targetPath, 'name'],
        `${READER} means the channel's reader in millrace pause and millrace resume; choose another name`,
      );
    }
    if (target.coalesce > 1 && target.progress !== 'table') {
      wrong(
        [...targetPath, 'coalesce'],
        'more than 1 transaction in a commit gives up their GTIDs: it needs progress: table',
      );
    }
    const address = addressOf(target);
    if (address === addressOf(channel.source)) {
      wrong(
        [...targetPath, 'host'],
        `${address} is this channel's source; a server cannot be its own target`,
      );
    }
    const sameServer = endpoints.get(address);
    if (sameServer !== undefined) {
      wrong([...targetPath, 'host'], `targets[${sameServer}] is the same server ${address}`);
    }
    endpoints.set(address, index);
  }
}

function addressOf(endpoint: RawEndpoint): string {
  const host = endpoint.host.toLowerCase();
  const loopback = host === 'localhost' || host === '::1' || host === '127.0.0.1';
  return `${loopback ? '127.0.0.1' : host}:${endpoint.port}`;
}

function checkEndpoint(endpoint: RawEndpoint, path: ConfigPath, wrong: Report): void {
  if (endpoint.password === undefined && endpoint.password_file === undefined) {
    wrong(path, `password is missing; give password: "\${NAME}" (a variable) or password_file`);
  }
  if (endpoint.password !== undefined && endpoint.password_file !== undefined) {
    wrong([...path, 'password_file'], 'password is given as well; keep one of the two');
  }
  const { mode, ca, cert, key } = { ca: undefined, cert: undefined, key: undefined, ...endpoint.tls };
  if ((cert === undefined) !== (key === undefined)) {
    wrong([...path, 'tls'], 'cert and key belong together; give both or none');
  }
  if (mode === 'disabled' && (ca ?? cert ?? key) !== undefined) {
    wrong(
      [...path, 'tls', 'mode'],
      'TLS is disabled, yet ca, cert or key is given; choose another mode or remove them',
    );
  }
}

function refuseLaterFeatures(target: RawTarget, path: ConfigPath, later: Report): void {
  if (target.mode === 'sql') {
    later([...path, 'mode'], 'mode sql is not in this version; use auto or binlog');
  }
}
