/**
 * Errors: one class, a registry of codes, and what the machine does about each.
 *
 * Every failure the operator may see is a `MillraceError`: its message names the thing, its hint names the
 * remedy, its code is stable and documented here, its action is what state machines switch on.
 * `instanceof` ends at a thread border, so an error crosses as a `PlainError` (toPlain / fromPlain).
 */

/**
 * What happens next: `retry` after a back-off; `stop` until an operator acts; `resync` means that the relay log no
 * longer matches the target and must be fetched anew from the target's own position.
 */
export type Action = 'retry' | 'stop' | 'resync';

/** The registry: the default action of a code. A throw site may override the action, never the code's meaning. */
export const ERROR_CODES = {
  /** Bytes from a socket or a file do not have the form their type demands. */
  MALFORMED_EVENT: 'stop',
  /** A text that should be a GTID, a GTID set or a file and position cannot be read as one. */
  MALFORMED_POSITION: 'stop',
  /** An event's CRC32 does not match its bytes. On the wire: retried a few times; on disk: fetched again. */
  CHECKSUM_MISMATCH: 'retry',
  /** An event that Millrace does not know stands inside a transaction and is not marked as ignorable. */
  UNKNOWN_EVENT: 'stop',
  /** The order of events breaks the grammar of a transaction. */
  UNEXPECTED_EVENT: 'stop',
  /** The event is known, and applying it cannot be exact; the message says what to do instead. */
  UNSUPPORTED: 'stop',
  /** The source reported an incident: its binary log has a hole. */
  SOURCE_INCIDENT: 'stop',
  /** No TCP connection, a connection that broke, a time-out. */
  CONNECTION_LOST: 'retry',
  /** The other side speaks another protocol than expected, or breaks its rules. */
  PROTOCOL: 'retry',
  /** User name or password refused, or the account is locked. */
  ACCESS_DENIED: 'stop',
  /** The account lacks a privilege; the hint holds the GRANT. */
  PRIVILEGE_MISSING: 'stop',
  /** TLS was asked for and cannot be had, or the certificate does not verify. */
  TLS: 'stop',
  /** The source no longer has binary logs that the target needs. */
  SOURCE_PURGED: 'stop',
  /** The target (or the relay log) holds transactions that the source does not have. */
  SOURCE_BEHIND: 'stop',
  /** The requested position does not exist on the source. */
  SOURCE_POSITION: 'stop',
  /** The source's configuration cannot be replicated from (log_bin, binlog_format, gtid_mode, server_id). */
  SOURCE_CONFIG: 'stop',
  /** Another replica uses the same server_id or server_uuid. */
  DUPLICATE_IDENTITY: 'retry',
  /** The source's binary log is damaged where it is read. */
  SOURCE_DAMAGED: 'retry',
  /** The target's configuration cannot be applied to (gtid_mode, flavour, packet size). */
  TARGET_CONFIG: 'stop',
  /** The target is read-only. */
  TARGET_READ_ONLY: 'retry',
  /** The target lost transactions it had, and the relay log does not hold them any more. */
  TARGET_WENT_BACK: 'resync',
  /** Another Millrace applies to this target, or took it over. */
  FENCED: 'stop',
  /** A statement or a row could not be applied: source and target differ. */
  APPLY_FAILED: 'stop',
  /** A deadlock, a lock wait time-out and the like: the whole transaction is tried again. */
  APPLY_TRANSIENT: 'retry',
  /** A statement concerns objects on both sides of a target's rules: it cannot run by halves. */
  FILTER_BORDER: 'stop',
  /** A target's rules have to judge a statement that cannot be read (`on_unparsed_ddl: stop`). */
  STATEMENT_UNREAD: 'stop',
  /** A statement that commits by itself was cut off, and the schema does not tell whether it ran. */
  DDL_UNDECIDED: 'stop',
  /** A relay log file does not hold what it must. */
  RELAY_CORRUPT: 'resync',
  /** No space left for the relay log. */
  DISK_FULL: 'retry',
  /** A file operation failed. */
  DISK: 'stop',
  /** The configuration file is wrong; the message has line and path. */
  CONFIG: 'stop',
  /** What the configuration asks for is not in this version. */
  NOT_IN_THIS_VERSION: 'stop',
  /** The address of http.listen cannot be listened on; the hint says why and what to do. */
  HTTP_LISTEN: 'stop',
  /** What an operator asks for comes too late, or names nothing that is there; nothing was changed. */
  NOT_POSSIBLE: 'stop',
  /** Another Millrace runs on this data_dir. */
  ALREADY_RUNNING: 'stop',
  /** No Millrace runs on this data_dir. */
  NOT_RUNNING: 'stop',
  /** A fault in Millrace itself. */
  INTERNAL: 'stop',
} as const satisfies Record<string, Action>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Where it happened: printed as `key=value` after the message and carried in status. Never row values or secrets. */
export type ErrorFacts = Readonly<Record<string, string | number | bigint | undefined>>;

export interface ErrorDetail {
  action?: Action;
  /** The remedy, as an imperative sentence. */
  hint?: string | undefined;
  facts?: ErrorFacts;
  cause?: unknown;
}

export class MillraceError extends Error {
  readonly code: ErrorCode;
  readonly action: Action;
  readonly hint: string | undefined;
  readonly facts: ErrorFacts;

  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = 'MillraceError';
    this.code = code;
    this.action = detail.action ?? ERROR_CODES[code];
    this.hint = detail.hint;
    this.facts = detail.facts ?? {};
  }
}

/** An error as data: what crosses a thread, what `status` prints, what a log line carries. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly action: Action;
  readonly message: string;
  readonly hint: string | null;
  readonly facts: Readonly<Record<string, string | number>>;
}

export function toPlain(error: unknown): PlainError {
  if (error instanceof MillraceError) {
    const facts: Record<string, string | number> = {};
    for (const [key, value] of Object.entries(error.facts)) {
      if (value !== undefined) facts[key] = typeof value === 'bigint' ? value.toString() : value;
    }
    return {
      code: error.code,
      action: error.action,
      message: error.message,
      hint: error.hint ?? null,
      facts,
    };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    code: 'INTERNAL',
    action: 'stop',
    message,
    hint: 'This is a fault in Millrace: please report it with this text.',
    facts: {},
  };
}

export function fromPlain(plain: PlainError): MillraceError {
  return new MillraceError(plain.code, plain.message, {
    action: plain.action,
    hint: plain.hint ?? undefined,
    facts: plain.facts,
  });
}

/** One line for people: message, facts, remedy. */
export function errorLine(plain: PlainError): string {
  const facts = Object.entries(plain.facts).map(([key, value]) => `${key}=${value}`);
  const where = facts.length > 0 ? ` (${facts.join(', ')})` : '';
  return `${plain.message}${where}${plain.hint === null ? '' : ` — ${plain.hint}`}`;
}

/** Where a code is explained; short enough for the end of a line. */
export function errorReference(code: ErrorCode): string {
  return `see docs/errors.md#${code}`;
}

/** The line with its reference: what the command line prints. */
export function referredErrorLine(plain: PlainError): string {
  return `${errorLine(plain)} [${errorReference(plain.code)}]`;
}

/** Guards our own invariants; bytes from outside are never asserted, they throw MALFORMED_EVENT. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new MillraceError('INTERNAL', `assertion failed: ${message}`);
}

export function assertNever(value: never): never {
  throw new MillraceError('INTERNAL', `unreachable: ${JSON.stringify(value)}`);
}
