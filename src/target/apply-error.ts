/**
 * What an error of the target means for the transaction that met it.
 *
 * transient  roll the whole transaction back and try it again (deadlock, lock wait, kill, a worker's snapshot)
 * read-only  the target refuses writes: wait, it may be a demoted node (never SET GLOBAL)
 * full       the target's disk or table is full: wait
 * privilege  the account lacks a right
 * failed     source and target differ, or the statement cannot run here
 *
 * Facts: error numbers of MySQL's errmsg files and MariaDB's; 1205 rolls back the statement only, so the caller
 * always rolls back everything.
 */
import { type ErrorFacts, MillraceError } from '../base/errors.ts';

export type ApplyErrorKind = 'transient' | 'read-only' | 'full' | 'privilege' | 'failed';

export interface ServerError {
  readonly errno: number;
  readonly sqlState: string;
  readonly message: string;
}

const KINDS = new Map<number, ApplyErrorKind>([
  [1205, 'transient'], // ER_LOCK_WAIT_TIMEOUT
  [1213, 'transient'], // ER_LOCK_DEADLOCK
  [1020, 'transient'], // ER_CHECKREAD: MariaDB 11's innodb_snapshot_isolation
  [1613, 'transient'], // ER_XA_RBTIMEOUT
  [1614, 'transient'], // ER_XA_RBDEADLOCK
  [1317, 'transient'], // ER_QUERY_INTERRUPTED
  [3024, 'transient'], // ER_QUERY_TIMEOUT
  [1105, 'transient'], // ER_UNKNOWN_ERROR: what a BINLOG may say that KILL QUERY has met (seen on 9.7.4)
  [3572, 'transient'], // ER_LOCK_NOWAIT
  [1412, 'transient'], // ER_TABLE_DEF_CHANGED
  [1615, 'transient'], // ER_NEED_REPREPARE
  [3101, 'transient'], // ER_TRANSACTION_ROLLBACK_DURING_COMMIT
  [1040, 'transient'], // ER_CON_COUNT_ERROR
  [1290, 'read-only'], // ER_OPTION_PREVENTS_STATEMENT: --read-only, --super-read-only
  [1792, 'read-only'], // ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
  [1836, 'read-only'], // ER_READ_ONLY_MODE
  [1114, 'full'], // ER_RECORD_FILE_FULL
  [1021, 'full'], // ER_DISK_FULL
  [1026, 'full'], // ER_ERROR_ON_WRITE
  [3, 'full'], // EE_WRITE
  [1044, 'privilege'],
  [1142, 'privilege'],
  [1143, 'privilege'],
  [1227, 'privilege'],
  [1370, 'privilege'],
  [6038, 'privilege'], // tagged GTIDs: TRANSACTION_GTID_TAG
  [1419, 'privilege'], // ER_BINLOG_CREATE_ROUTINE_NEED_SUPER
]);

export function applyErrorKind(error: ServerError): ApplyErrorKind {
  if (error.errno === 1290 && !/read[-_]only/i.test(error.message)) return 'failed';
  return KINDS.get(error.errno) ?? 'failed';
}

/** The error an operator sees. `doing` names the step ('row events on shop.orders', 'a statement'). */
export function applyError(error: ServerError, doing: string, facts: ErrorFacts): MillraceError {
  const text = `the target refused ${doing}: ${error.errno} ${error.message}`;
  const more = { ...facts, errno: error.errno };
  switch (applyErrorKind(error)) {
    case 'transient':
      return new MillraceError('APPLY_TRANSIENT', text, { facts: more });
    case 'read-only':
      return new MillraceError(
        'TARGET_READ_ONLY',
        `the target is read-only: ${error.errno} ${error.message}`,
        {
          hint: 'Make the target writable (SET GLOBAL read_only=OFF, super_read_only=OFF) or point Millrace at the writable node; it goes on by itself.',
          facts: more,
        },
      );
    case 'full':
      return new MillraceError('APPLY_TRANSIENT', text, {
        hint: 'Free space on the target; the transaction is tried again.',
        facts: more,
      });
    case 'privilege':
      return new MillraceError('PRIVILEGE_MISSING', text, { hint: privilegeHint(error), facts: more });
    case 'failed':
      return new MillraceError('APPLY_FAILED', text, { hint: failedHint(error.errno), facts: more });
  }
}

/**
 * An error of the control session, with the same meaning as in a worker's: a read-only target or a lock wait is waited out there,
 * too. Errors that are no answer of the server stay as they are.
 */
export function controlError(error: unknown): unknown {
  if (!(error instanceof MillraceError) || error.code !== 'PROTOCOL') return error;
  const { errno, sqlState } = error.facts;
  if (typeof errno !== 'number') return error;
  const reply = { errno, sqlState: String(sqlState ?? ''), message: error.message };
  if (applyErrorKind(reply) === 'failed') return error;
  return applyError(reply, 'the control session', error.facts);
}

function privilegeHint(error: ServerError): string {
  if (error.errno === 1419) {
    return 'SET PERSIST log_bin_trust_function_creators=ON on the target (functions and triggers of the source need it there), then start again.';
  }
  const wanted = /you need (?:\(at least one of\) )?the ([A-Z_]+(?:(?: or |, )[A-Z_]+)*)/.exec(
    error.message,
  )?.[1];
  if (wanted !== undefined) {
    return `GRANT ${wanted.split(/ or |, /).at(-1)} ON *.* to the apply account, then start again (docs/privileges.md says what needs it).`;
  }
  return 'Grant the missing privilege to the apply account (docs/privileges.md lists the exact GRANTs) and start again.';
}

function failedHint(errno: number): string {
  switch (errno) {
    case 1062:
      return 'The target already has such a row: it was written to by someone else. Make the row equal to the source, then start again.';
    case 1032:
      return 'The target does not have this row: it was changed by someone else. Make the row equal to the source, then start again.';
    case 1146:
    case 1049:
      return 'The target lacks this table or database: was it loaded with the right snapshot?';
    case 1298:
      return 'Load the time zone tables on the target (mysql_tzinfo_to_sql), then start again.';
    case 1153:
    case 1301:
      return 'Raise max_allowed_packet on the target, then start again.';
    case 1197:
    case 1837:
      return 'Raise max_binlog_cache_size on the target, then start again.';
    default:
      return 'Source and target differ, or this statement cannot run on the target. Nothing of the transaction was kept; mend the cause, then start again.';
  }
}
