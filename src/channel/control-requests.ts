/**
 * What can be asked over the control socket: one table of requests and their fields, from which both the type and the check of
 * what comes in are made.
 *
 *   {"do":"skip","channel":null,"target":"standby","id":"uuid:7","reason":"…","by":{"uid":0,"user":"root"}}
 *
 * A field that is missing, unknown, of another type or out of bounds refuses the request: nothing of it is done. `by` is what the
 * caller says of itself: whoever can open the socket is our own user or root, and the kernel does not tell Node which.
 */
import type { Until } from '../applier/target-control.ts';
import { MillraceError } from '../base/errors.ts';
import { transactionIdText } from '../binlog/position-set.ts';
import { parseTransactionIdText } from '../binlog/transaction-id.ts';
import { DELAY_MS_MAX, REASON_LENGTH_MAX, TIME_MS_MAX } from './control-document.ts';

/** Reads a field; what it throws is about this field. */
type Field<T> = (value: unknown, name: string) => T;

export interface Caller {
  readonly uid: number | null;
  readonly user: string | null;
}

const optional =
  <T>(field: Field<T>): Field<T | null> =>
  (value, name) =>
    value === undefined || value === null ? null : field(value, name);

const text =
  (lengthMax: number): Field<string> =>
  (value, name) => {
    if (typeof value === 'string' && value.length <= lengthMax && value.trim() !== '') return value;
    throw wrong(`${name}: expected a text of at most ${lengthMax} characters`);
  };

const integer =
  (maximum: number): Field<number> =>
  (value, name) => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= maximum) return value;
    throw wrong(`${name}: expected a whole number from 0 to ${maximum}`);
  };

const partName = text(64);

/** In the canonical spelling. */
const transaction: Field<string> = (value, name) =>
  transactionIdText(parseTransactionIdText(text(400)(value, name)));

const until: Field<Until> = (value, name) => {
  const { is, id, ms } = object(value, name, ['is', 'id', 'ms']);
  if (is === 'time') return { is, ms: integer(TIME_MS_MAX)(ms, `${name}.ms`) };
  if (is === 'before' || is === 'after') return { is, id: transaction(id, `${name}.id`) };
  throw wrong(`${name}.is: expected before, after or time`);
};

const caller: Field<Caller> = (value, name) => {
  const { uid, user } = object(value, name, ['uid', 'user']);
  return {
    uid: optional(integer(2 ** 32 - 1))(uid, `${name}.uid`),
    user: optional(text(256))(user, `${name}.user`),
  };
};

/** `channel` and `target` may be null where there is only one. */
const whose = { channel: optional(partName), by: optional(caller) };

const REQUESTS = {
  ping: {},
  status: {},
  stop: {},
  reload: { by: optional(caller) },
  /** `part`: `reader`, or a target's name. */
  pause: { ...whose, part: partName },
  resume: { ...whose, part: partName },
  /** `ms` null: as configured. */
  delay: { ...whose, target: partName, ms: optional(integer(DELAY_MS_MAX)) },
  skip: { ...whose, target: optional(partName), id: transaction, reason: text(REASON_LENGTH_MAX) },
  approve: { ...whose, target: optional(partName), id: transaction },
  /** `until` null: go on without one. */
  until: { ...whose, target: optional(partName), until: optional(until) },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Field<unknown>>>>>;

type Requests = typeof REQUESTS;
type Fields<Table> = { readonly [Name in keyof Table]: Table[Name] extends Field<infer T> ? T : never };

export type ControlVerb = keyof Requests;
export type ControlRequest = {
  [Verb in ControlVerb]: { readonly do: Verb } & Fields<Requests[Verb]>;
}[ControlVerb];
export type RequestOf<Verb extends ControlVerb> = Extract<ControlRequest, { readonly do: Verb }>;

/** Throws PROTOCOL, or MALFORMED_POSITION for a name of a transaction that is none. */
export function parseRequest(line: string): ControlRequest {
  let root: unknown;
  try {
    root = JSON.parse(line);
  } catch {
    throw wrong('the request is not JSON');
  }
  const verb = typeof root === 'object' && root !== null && 'do' in root ? root.do : undefined;
  if (typeof verb !== 'string' || !Object.hasOwn(REQUESTS, verb)) {
    throw wrong(`unknown request; known are ${Object.keys(REQUESTS).join(', ')}`);
  }
  const table: Readonly<Record<string, Field<unknown>>> = REQUESTS[verb as ControlVerb];
  const given = object(root, verb, ['do', ...Object.keys(table)]);
  const request: Record<string, unknown> = { do: verb };
  for (const [name, field] of Object.entries(table)) request[name] = field(given[name], `${verb}.${name}`);
  return request as unknown as ControlRequest;
}

function object(value: unknown, name: string, known: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrong(`${name}: expected an object`);
  }
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw wrong(
      `${name}: unknown field ${JSON.stringify(unknown.slice(0, 40))}; known are ${known.join(', ')}`,
    );
  }
  return value as Readonly<Record<string, unknown>>;
}

function wrong(message: string): MillraceError {
  return new MillraceError('PROTOCOL', message);
}
