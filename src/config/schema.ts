/**
 * The one schema of the configuration file: every key, its form, its default.
 *
 * Objects are strict: a key that is not here is an error. A field's parser says what is wrong as the end of a
 * sentence that begins with the key's path, and never repeats a password. What one key alone cannot tell (duplicate
 * names, combinations, what this version does not do) is in cross-checks.ts.
 */
import { z } from 'zod';
import type { Guard } from '../rules/guard-rules.ts';
import { CHANGE_KINDS } from '../rules/target-rules.ts';
import type { TlsMode } from './config.ts';
import { type ListenAddress, parseListenAddress } from './listen-address.ts';
import { nearMiss } from './near-miss.ts';
import { parseDuration, parseSize, UnitError } from './units.ts';

// One file is read once: making a parser of it out of text would take longer than it could save.
z.config({ jitless: true });

const KIB = 1024;
const TIB = 1024 ** 4;
const SECOND = 1000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Ends a field's parser: the message follows the key's path. */
class FieldError extends Error {}

const NEVER_MISSING = 'missing';

function field<T>(parse: (value: unknown) => T) {
  return z.unknown().transform((value, context): T => {
    try {
      if (value === undefined) throw new FieldError(NEVER_MISSING);
      if (value === null) throw new FieldError('is empty; give a value or remove the key');
      return parse(value);
    } catch (error) {
      if (!(error instanceof FieldError) && !(error instanceof UnitError)) throw error;
      context.issues.push({ code: 'custom', message: error.message, input: value });
      return z.NEVER;
    }
  });
}

/** One message per unknown key, in the order of `keys`, separated by line feeds. */
function strictObject<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return undefined;
      return issue.keys
        .map((key) => {
          const meant = nearMiss(key, known);
          return `unknown key; ${meant === null ? `known here: ${known.join(', ')}` : `did you mean ${meant}?`}`;
        })
        .join('\n');
    },
  });
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'a map' : `a ${typeof value}`;
}

function text(value: unknown): string {
  if (typeof value === 'string') return value;
  const scalar = typeof value === 'number' || typeof value === 'boolean';
  throw new FieldError(`expected text, got ${kindOf(value)}${scalar ? '; put it in quotes' : ''}`);
}

function nonEmptyText(value: unknown): string {
  const result = text(value);
  if (result.trim() === '') throw new FieldError('is empty; give a value');
  if (/[\0\r\n]/.test(result)) throw new FieldError('must not contain line breaks or NUL');
  return result;
}

function integer(minimum: number, maximum: number) {
  return field((value): number => {
    // A variable's value is text: digits are accepted as the number they spell.
    const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
    if (typeof number !== 'number' || !Number.isInteger(number)) {
      throw new FieldError(`expected a whole number from ${minimum} to ${maximum}`);
    }
    if (number < minimum || number > maximum) {
      throw new FieldError(`${number} is not from ${minimum} to ${maximum}`);
    }
    return number;
  });
}

const boolean = field((value): boolean => {
  if (value === true || value === 'true') return true;
  if (value === false || value === 'false') return false;
  throw new FieldError('expected true or false');
});

function oneOf<const Word extends string>(...words: readonly Word[]) {
  return field((value): Word => {
    const found = words.find((word) => word === value);
    if (found !== undefined) return found;
    const meant = typeof value === 'string' ? nearMiss(value, words) : null;
    const hint = meant === null ? '' : `; did you mean ${meant}?`;
    throw new FieldError(`expected one of ${words.join(', ')}; got ${JSON.stringify(value)}${hint}`);
  });
}

function duration(minimumMs: number, maximumMs: number, range: string) {
  return field((value): number => {
    const ms = parseDuration(value);
    if (ms < minimumMs || ms > maximumMs) throw new FieldError(`${String(value)} is not from ${range}`);
    return ms;
  });
}

/** Picks a schema by looking at the value; its problems keep their own paths. */
function chosen<T>(choose: (value: unknown) => z.ZodType<T>) {
  return z.unknown().transform((value, context): T => {
    const result = choose(value).safeParse(value);
    if (result.success) return result.data;
    for (const issue of result.error.issues) context.issues.push({ ...issue, input: value } as never);
    return z.NEVER;
  });
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A channel's name is also the folder of its relay log, a target's name stands in logs and metrics. */
const name = field((value): string => {
  const result = nonEmptyText(value);
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(result)) {
    throw new FieldError(
      'a name has up to 64 letters, digits, dots, dashes and underscores, and begins with a letter or digit',
    );
  }
  return result;
});

const host = field((value): string => {
  const result = nonEmptyText(value);
  if (/[\s/@]/.test(result) || /^[^:]+:\d+$/.test(result)) {
    throw new FieldError('expected a host name or address alone; the port has its own key');
  }
  return result;
});

const TLS_MODES = ['disabled', 'preferred', 'required', 'verify_ca', 'verify_identity'] as const;
const tlsMode = oneOf<TlsMode>(...TLS_MODES);
const tlsMap = strictObject({
  mode: tlsMode.default('preferred'),
  ca: field(nonEmptyText).optional(),
  cert: field(nonEmptyText).optional(),
  key: field(nonEmptyText).optional(),
});
export type RawTls = z.output<typeof tlsMap>;

const tls = chosen<RawTls>((value) => (isMap(value) ? tlsMap : tlsMode.transform((mode) => ({ mode }))));

const endpointShape = {
  host,
  port: integer(1, 65_535).default(3306),
  user: field(nonEmptyText),
  password: field(text).optional(),
  password_file: field(nonEmptyText).optional(),
  tls: tls.default({ mode: 'preferred' }),
  connect_timeout: duration(100, HOUR, '100ms to 1h').default(10 * SECOND),
};

const UUID = '[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}';
const GTIDS = new RegExp(
  `^${UUID}(?::[A-Za-z_][A-Za-z0-9_]{0,31})?(?::\\d+(?:-\\d+)?(?::[A-Za-z_]\\w{0,31})?)+$`,
);
const MARIADB_GTID = /^\d{1,10}-\d{1,10}-\d{1,20}$/;

const gtidSet = field((value): string => {
  const parts = text(value)
    .split(',')
    .map((part) => part.replace(/\s/g, ''))
    .filter((part) => part !== '');
  const mysql = parts.every((part) => GTIDS.test(part));
  const mariadb = parts.every((part) => MARIADB_GTID.test(part));
  if (!mysql && !mariadb) {
    throw new FieldError(
      'is no GTID set; expected uuid:1-5,… of MySQL or domain-server-sequence,… of MariaDB',
    );
  }
  return parts.join(',');
});

const binlogFile = field((value): string => {
  const result = nonEmptyText(value);
  if (!/^[^/\\]{1,240}\.\d{6,10}$/.test(result)) {
    throw new FieldError('expected the name of a binary log file, like binlog.000042');
  }
  return result;
});

const startAtGtids = strictObject({ gtid_set: gtidSet }).transform((map) => ({
  at: 'gtid_set' as const,
  gtidSet: map.gtid_set,
}));
const startAtPosition = strictObject({
  file: binlogFile,
  position: integer(4, Number.MAX_SAFE_INTEGER),
}).transform((map) => ({ at: 'position' as const, file: map.file, position: map.position }));
const startAuto = field((value): { at: 'auto' } => {
  if (value !== 'auto') throw new FieldError('expected auto, { gtid_set: … } or { file: …, position: … }');
  return { at: 'auto' };
});
type RawStart = z.output<typeof startAtGtids> | z.output<typeof startAtPosition> | z.output<typeof startAuto>;
const start = chosen<RawStart>((value) => {
  if (!isMap(value)) return startAuto;
  return 'gtid_set' in value ? startAtGtids : startAtPosition;
});

const source = strictObject({
  ...endpointShape,
  server_id: integer(1, 4_294_967_295).nullable().default(null),
  start: start.default({ at: 'auto' }),
  heartbeat: duration(100, HOUR, '100ms to 1h').default(SECOND),
});

const maxFileSize = field((value): number => {
  const bytes = parseSize(value);
  if (bytes < 4 * KIB || bytes > TIB) throw new FieldError(`${String(value)} is not from 4KiB to 1TiB`);
  return bytes;
});

const sync = field((value): number => {
  if (value === 'always') return 0;
  const ms = parseDuration(value);
  if (ms > HOUR) throw new FieldError(`${String(value)} is not from 0ms to 1h`);
  return ms;
});

const relayLogDefaults = { max_file_size: 1024 ** 3, sync: 100, retention: DAY };
const relayLog = strictObject({
  max_file_size: maxFileSize.default(relayLogDefaults.max_file_size),
  sync: sync.default(relayLogDefaults.sync),
  retention: duration(0, 3650 * DAY, '0s to 3650d').default(relayLogDefaults.retention),
});

const rules = z.array(field(nonEmptyText)).default([]);
const filters = strictObject({
  replicate_do_db: rules,
  replicate_ignore_db: rules,
  replicate_do_table: rules,
  replicate_ignore_table: rules,
  replicate_wild_do_table: rules,
  replicate_wild_ignore_table: rules,
});

const changeKinds = z.array(oneOf(...CHANGE_KINDS));
const skipRule = strictObject({ table: field(nonEmptyText), events: changeKinds });

const webhook = field((value): string => {
  const result = nonEmptyText(value);
  const url = URL.canParse(result) ? new URL(result) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new FieldError('expected a URL, like https://alarms.example/hook');
  }
  if (url.username !== '' || url.password !== '') {
    throw new FieldError('must not hold a user name or a password; put a token into its path');
  }
  return result;
});

const GUARDS = ['drop_database', 'drop_table', 'truncate'] as const;
const guardWord = oneOf(...GUARDS).transform((word): Guard => ({ is: word }));
const guardOfRows = strictObject({ delete_rows_over: integer(0, Number.MAX_SAFE_INTEGER) }).transform(
  (map): Guard => ({ is: 'delete_rows_over', rows: map.delete_rows_over }),
);
const guardOfAlter = strictObject({ alter: field(nonEmptyText) }).transform(
  (map): Guard => ({ is: 'alter', table: map.alter }),
);
const unknownGuard = field((): Guard => {
  throw new FieldError(
    `expected one of ${GUARDS.join(', ')}, { delete_rows_over: 100000 }, { alter: "shop.%" }`,
  );
});
const guard = chosen<Guard>((value) => {
  if (!isMap(value)) return guardWord;
  if ('alter' in value) return guardOfAlter;
  return 'delete_rows_over' in value ? guardOfRows : unknownGuard;
});

const target = strictObject({
  name,
  ...endpointShape,
  mode: oneOf('auto', 'binlog', 'sql').default('auto'),
  progress: oneOf('auto', 'gtid', 'table').default('auto'),
  workers: integer(1, 64).default(8),
  commit_order: oneOf('source', 'window', 'any').default('window'),
  coalesce: integer(1, 1_000_000).default(1),
  delay: duration(0, 3650 * DAY, '0s to 3650d').default(0),
  filters: filters.optional(),
  replicate_rewrite_db: rules,
  ddl_filter: oneOf('server', 'objects').default('server'),
  on_unparsed_ddl: oneOf('auto', 'stop', 'apply', 'skip').default('auto'),
  replicate_system: boolean.default(false),
  skip_events: z.array(skipRule).default([]),
  guards: z.array(guard).default([]),
  on_guard: oneOf('hold', 'warn').default('hold'),
  guard_webhook: webhook.optional(),
});

const channel = strictObject({
  name,
  preflight: boolean.default(true),
  source,
  relay_log: relayLog.default(relayLogDefaults),
  targets: z.array(target),
});

const listen = field((value): ListenAddress => {
  const address = parseListenAddress(typeof value === 'number' ? String(value) : nonEmptyText(value));
  if (address === null) {
    throw new FieldError('expected an address and a port, like 127.0.0.1:9104 or [::1]:9104');
  }
  return address;
});

const allowedHost = field((value): string => {
  const result = nonEmptyText(value).toLowerCase();
  if (!/^[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?$/.test(result)) {
    throw new FieldError('expected a host name alone, like millrace.internal');
  }
  return result;
});

const http = strictObject({
  listen: listen.optional(),
  token: field(text).optional(),
  token_file: field(nonEmptyText).optional(),
  allowed_hosts: z.array(allowedHost).default([]),
});
export type RawHttp = z.output<typeof http>;

export const configSchema = strictObject({
  data_dir: field(nonEmptyText),
  log: strictObject({
    level: oneOf('debug', 'info', 'warn', 'error').default('info'),
    format: oneOf('json', 'pretty').nullable().default(null),
  }).default({ level: 'info', format: null }),
  http: http.optional(),
  channels: z.array(channel),
});

export type RawConfig = z.output<typeof configSchema>;
export type RawChannel = RawConfig['channels'][number];
export type RawTarget = RawChannel['targets'][number];
export type RawEndpoint = Pick<RawTarget, keyof typeof endpointShape>;
