/**
 * What a target is stuck on and why, in words: of several reasons the one that the operator can do something about. Pure.
 *
 *   the gate            paused, until reached, held by a guard, not due yet: it waits because it was told to
 *   the connection      read-only, unreachable: nothing can be applied
 *   the first worker    the transaction that the others wait for, and what the target says holds it up
 */
import type { ApplierStatus } from '../applier/applier-messages.ts';
import type { StuckTransaction } from '../applier/stuck-watch.ts';
import { spanText } from './catching-up.ts';

type StuckFinding = StuckTransaction['finding'];

export type StuckWhy =
  | 'paused'
  | 'until'
  | 'guard'
  | 'delay'
  | 'read_only'
  | 'row_lock'
  | 'metadata_lock'
  | 'no_key'
  | 'predecessor'
  | 'retrying'
  | 'statement';

export interface Stuck {
  readonly why: StuckWhy;
  /** One sentence. */
  readonly text: string;
  /** What to do; null: nothing, or nobody knows. */
  readonly hint: string | null;
  readonly since_seconds: number | null;
  readonly transaction: string | null;
  readonly worker: number | null;
  /** Of our session on the target. */
  readonly connection: number | null;
  /** Statement kind or table; no values. */
  readonly doing: string | null;
  readonly table: string | null;
  readonly blocked_by: {
    readonly connection: number;
    readonly user: string | null;
    readonly host: string | null;
    readonly idle_seconds: number | null;
  } | null;
  readonly explain: string | null;
}

/** A transaction that takes no longer is not stuck. */
const STUCK_SECONDS = 2;

const NOTHING = {
  hint: null,
  since_seconds: null,
  transaction: null,
  worker: null,
  connection: null,
  doing: null,
  table: null,
  blocked_by: null,
  explain: null,
};

/** Null: it is not stuck. */
export function stuckOn(status: ApplierStatus): Stuck | null {
  const { state } = status;
  if (state.at === 'backing-off' && state.cause.code === 'TARGET_READ_ONLY') {
    return { ...NOTHING, why: 'read_only', text: state.cause.message, hint: state.cause.hint };
  }
  if (state.at !== 'running') return null;
  return busyOn(status) ?? atTheGate(status);
}

function atTheGate({ gate, waiting, inFlight }: ApplierStatus): Stuck | null {
  if (inFlight > 0) return null;
  const next = { ...NOTHING, transaction: waiting?.nextId ?? null };
  switch (gate.is) {
    case 'paused':
      return { ...next, why: 'paused', text: 'paused by an operator', hint: 'Resume it.' };
    case 'until':
      return { ...next, why: 'until', text: 'it has reached where it was told to stop', hint: 'Resume it.' };
    case 'held': {
      const { id, what, guard } = gate.match;
      const text = `held by the guard ${guard}: ${what}`;
      return { ...next, why: 'guard', transaction: id, text, hint: 'Approve it, or skip it.' };
    }
    case 'due': {
      const text = `the next transaction is due in ${spanText(gate.dueInMs / 1000)}`;
      return { ...next, why: 'delay', text };
    }
    default:
      return null;
  }
}

function busyOn({ activity, stuck }: ApplierStatus): Stuck | null {
  const first = activity[0];
  if (first === undefined || first.ageMs < STUCK_SECONDS * 1000) return null;
  const found = stuck?.transaction === first.transaction ? stuck.finding : null;
  const seconds = Math.round(first.ageMs) / 1000;
  const table =
    found?.table ?? (first.table === null ? null : `${first.table.database}.${first.table.table}`);
  const common = {
    since_seconds: seconds,
    transaction: first.transaction,
    worker: first.worker,
    connection: first.connection,
    doing: first.doing,
    table,
    blocked_by: blockedBy(found),
    explain: found?.explain ?? null,
  };
  const who = `worker ${first.worker}`;
  const since = spanText(seconds);
  switch (found?.why) {
    case 'row-lock':
      return {
        ...common,
        why: 'row_lock',
        text: `${who} has waited ${since} for a row lock on ${table ?? 'a table'}, ${held(found)}`,
        hint: unlock(found),
      };
    case 'metadata-lock':
      return {
        ...common,
        why: 'metadata_lock',
        text: `${who} has waited ${since} for a lock on ${table ?? 'a table'} as a whole (${first.doing}), ${held(found)}`,
        hint: unlock(found),
      };
    case 'no-key':
      return {
        ...common,
        why: 'no_key',
        text: `${who} has been at ${first.doing} for ${since}: ${table} has no key, so each changed row is looked for by reading the whole table (${found.explain})`,
        hint: `Add a primary key to ${table}, on the source and on the target.`,
      };
    default:
      break;
  }
  if (first.waits === 'predecessor') {
    const text = `${who} has waited ${since}: its transaction failed beside others and is tried again when everything before it is committed`;
    return { ...common, why: 'predecessor', text, hint: null };
  }
  if (first.waits === 'turn') {
    const text = `${who} has waited ${since} with its COMMIT: it comes when everything before it is committed`;
    return { ...common, why: 'predecessor', text, hint: null };
  }
  if (first.attempt > 1) {
    const text = `${who} tries a transaction for the ${ordinal(first.attempt)} time, ${first.doing}, since ${since}`;
    return { ...common, why: 'retrying', text, hint: found?.unseen ?? null };
  }
  const state = found?.state ? ` (the target says: ${found.state})` : '';
  const text = `${who} has been at ${first.doing} for ${since}${state}`;
  return { ...common, why: 'statement', text, hint: found?.unseen ?? null };
}

function blockedBy(found: StuckFinding | null): Stuck['blocked_by'] {
  const blocking = found?.blocking ?? null;
  if (blocking === null) return null;
  const { connection, user, host, seconds } = blocking;
  return { connection, user, host, idle_seconds: blocking.command === 'Sleep' ? seconds : null };
}

function held({ blocking, unseen }: StuckFinding): string {
  if (blocking === null)
    return unseen === null ? 'held by a session that is not to be seen' : `held by someone; ${unseen}`;
  const { connection, user, host, command, seconds } = blocking;
  const whose = user === null ? '' : ` of ${user}${host === null ? '' : `@${host}`}`;
  const idle =
    command === 'Sleep' && seconds !== null ? `, idle for ${spanText(seconds)} in a transaction` : '';
  return `held by connection ${connection}${whose}${idle}`;
}

function unlock({ blocking, unseen }: StuckFinding): string | null {
  if (blocking === null) return unseen;
  return `Let that session commit or roll back, or run KILL ${blocking.connection} on the target.`;
}

function ordinal(n: number): string {
  const ending = n % 100 > 10 && n % 100 < 14 ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th');
  return `${n}${ending}`;
}
