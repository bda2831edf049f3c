/**
 * Reads the configuration file into a frozen Config.
 *
 * Every problem has its place: `config.yaml:10:3: channels[0].targets[0].delai: unknown key; did you mean delay?`.
 * Relative paths in the file (data_dir, password_file, ca, cert, key) are relative to the folder of the file, so that
 * every verb finds the same data_dir from wherever it is called.
 */
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { TargetRules } from '../rules/target-rules.ts';
import type {
  ChannelConfig,
  Config,
  ConfigPath,
  ConfigProblem,
  EndpointConfig,
  HttpConfig,
} from './config.ts';
import { fileErrorText, problemLine, problemsError, readConfigText } from './config-file.ts';
import { crossChecks, type PathProblem } from './cross-checks.ts';
import { configSchema, type RawConfig, type RawEndpoint, type RawHttp, type RawTarget } from './schema.ts';
import { Secret } from './secret.ts';
import { type Environment, YamlSource } from './yaml-source.ts';

const SECRET_FILE_BYTES_MAX = 1024 * 1024;

export type ConfigResult =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

/** Throws CONFIG or NOT_IN_THIS_VERSION with the first problem, as one line. */
export function loadConfig(file: string, environment: Environment): Config {
  const result = readConfig(file, environment);
  if (result.ok) return result.config;
  throw problemsError(file, result.problems);
}

/** All problems, in the order of the file. Throws CONFIG only when the file cannot be read at all. */
export function readConfig(file: string, environment: Environment): ConfigResult {
  const yaml = new YamlSource(readConfigText(file));
  if (yaml.problems.length === 0) yaml.interpolate(environment);
  if (yaml.problems.length > 0) return failure(yaml.problems);

  const parsed = configSchema.safeParse(yaml.toJS());
  if (!parsed.success) return failure(schemaProblems(yaml, parsed.error.issues));

  const { problems, warnings: doubts } = crossChecks(parsed.data);
  const reader = new SecretFiles(dirname(resolve(file)), problems);
  const config = build(file, parsed.data, reader);
  if (problems.length > 0) return failure(problems.map((problem) => yaml.locate(problem)));
  const warnings = [...doubts, ...reader.warnings].map((warning) => problemLine(file, yaml.locate(warning)));
  return { ok: true, config: deepFreeze({ ...config, warnings }) };
}

function failure(problems: readonly ConfigProblem[]): ConfigResult {
  const sorted = [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
  return { ok: false, problems: sorted };
}

type SchemaIssue = NonNullable<ReturnType<typeof configSchema.safeParse>['error']>['issues'][number];

function schemaProblems(yaml: YamlSource, issues: readonly SchemaIssue[]): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const issue of issues) {
    const path = issue.path as ConfigPath;
    if (issue.code === 'unrecognized_keys') {
      const messages = issue.message.split('\n');
      for (const [index, key] of issue.keys.entries()) {
        problems.push(yaml.locateKey(path, key, messages[index]!));
      }
      continue;
    }
    problems.push(yaml.locate({ code: 'CONFIG', path, message: issueMessage(issue) }));
  }
  return problems;
}

function issueMessage(issue: SchemaIssue): string {
  if (issue.code !== 'invalid_type') return issue.message;
  if (/received undefined$/.test(issue.message)) return 'missing';
  if (/received null$/.test(issue.message)) return 'is empty; give a value or remove the key';
  if (issue.expected === 'array') return 'expected a list';
  return issue.expected === 'object' ? 'expected a map of keys and values' : issue.message;
}

/** Reads the files that the configuration names; what is wrong with them is added to `problems`. */
class SecretFiles {
  readonly #base: string;
  readonly #problems: PathProblem[];
  readonly warnings: PathProblem[] = [];

  constructor(base: string, problems: PathProblem[]) {
    this.#base = base;
    this.#problems = problems;
  }

  resolve(path: string): string {
    return resolve(this.#base, path);
  }

  requireToken(token: string, path: ConfigPath): void {
    // Of a file that cannot be read something was said already.
    if (this.#problems.some((problem) => problem.path.join('.') === path.join('.'))) return;
    if (token.length < TOKEN_LENGTH_MIN || !/^[\x21-\x7e]*$/.test(token)) {
      this.#problems.push({
        code: 'CONFIG',
        path,
        message: `a token has at least ${TOKEN_LENGTH_MIN} characters, printable ASCII without blanks; make one with \`openssl rand -hex 24\``,
      });
    }
  }

  read(file: string, path: ConfigPath, secret: boolean): string {
    try {
      const stat = statSync(this.resolve(file));
      if (stat.size > SECRET_FILE_BYTES_MAX) {
        this.#problems.push({ code: 'CONFIG', path, message: `${file}: larger than 1 MiB` });
        return '';
      }
      if (secret && (stat.mode & 0o004) !== 0) {
        this.warnings.push({
          code: 'CONFIG',
          path,
          message: `${file} can be read by everybody; chmod 600 ${file}`,
        });
      }
      return readFileSync(this.resolve(file), 'utf8');
    } catch (error) {
      this.#problems.push({ code: 'CONFIG', path, message: `${file}: ${fileErrorText(error)}` });
      return '';
    }
  }
}

/** Whoever has the token decides what is applied: it must not be guessed. */
const TOKEN_LENGTH_MIN = 16;

function build(file: string, raw: RawConfig, files: SecretFiles): Omit<Config, 'warnings'> {
  return {
    file,
    dataDir: files.resolve(raw.data_dir),
    log: raw.log,
    http: buildHttp(raw.http, files),
    channels: raw.channels.map((channel, index): ChannelConfig => {
      const path = ['channels', index];
      return {
        name: channel.name,
        preflight: channel.preflight,
        source: {
          endpoint: buildEndpoint(channel.source, [...path, 'source'], files),
          serverId: channel.source.server_id,
          start: channel.source.start,
          heartbeatMs: channel.source.heartbeat,
        },
        relayLog: {
          maxFileSize: channel.relay_log.max_file_size,
          syncMs: channel.relay_log.sync,
          retentionMs: channel.relay_log.retention,
        },
        targets: channel.targets.map((target, number) => ({
          name: target.name,
          endpoint: buildEndpoint(target, [...path, 'targets', number], files),
          // Another mode was refused by the cross-checks, and this object is then thrown away.
          mode: target.mode === 'sql' ? 'auto' : target.mode,
          progress: target.progress,
          workers: target.workers,
          commitOrder: target.commit_order,
          coalesce: target.coalesce,
          delayMs: target.delay,
          rules: buildRules(target),
          guards: {
            guards: target.guards,
            onGuard: target.on_guard,
            webhook: target.guard_webhook ?? null,
          },
        })),
      };
    }),
  };
}

function buildHttp(raw: RawHttp | undefined, files: SecretFiles): HttpConfig | null {
  if (raw?.listen === undefined) return null;
  const { listen, token, token_file: file, allowed_hosts: allowedHosts } = raw;
  const path = ['http', file === undefined ? 'token' : 'token_file'];
  const text = file === undefined ? token : files.read(file, path, true).trim();
  if (text !== undefined) files.requireToken(text, path);
  return { listen, token: text === undefined ? null : new Secret(text), allowedHosts };
}

/** What is wrong with a rule was said by the cross-checks, and this object is then thrown away. */
function buildRules(target: RawTarget): TargetRules {
  const { filters } = target;
  return {
    filters: {
      doDb: filters?.replicate_do_db ?? [],
      ignoreDb: filters?.replicate_ignore_db ?? [],
      doTable: filters?.replicate_do_table ?? [],
      ignoreTable: filters?.replicate_ignore_table ?? [],
      wildDoTable: filters?.replicate_wild_do_table ?? [],
      wildIgnoreTable: filters?.replicate_wild_ignore_table ?? [],
    },
    rewriteDb: target.replicate_rewrite_db.map((rule) => {
      const [from = '', to = ''] = rule.split('->').map((part) => part.trim());
      return { from, to };
    }),
    ddlFilter: target.ddl_filter,
    onUnparsedDdl: target.on_unparsed_ddl,
    replicateSystem: target.replicate_system,
    skipEvents: target.skip_events,
  };
}

function buildEndpoint(raw: RawEndpoint, path: ConfigPath, files: SecretFiles): EndpointConfig {
  const pem = (key: 'ca' | 'cert' | 'key'): string | undefined => {
    const named = 'ca' in raw.tls || 'cert' in raw.tls || 'key' in raw.tls ? raw.tls[key] : undefined;
    return named === undefined ? undefined : files.read(named, [...path, 'tls', key], key === 'key');
  };
  const password =
    raw.password_file === undefined
      ? (raw.password ?? '')
      : files.read(raw.password_file, [...path, 'password_file'], true).replace(/\r?\n$/, '');
  const key = pem('key');
  return {
    host: raw.host,
    port: raw.port,
    user: raw.user,
    password: new Secret(password),
    tls: {
      mode: raw.tls.mode,
      ca: pem('ca'),
      cert: pem('cert'),
      key: key === undefined ? undefined : new Secret(key),
    },
    connectTimeoutMs: raw.connect_timeout,
  };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}
