/**
 * Why a request about a transaction cannot be carried out: it is executed, in flight, or nowhere in the relay log. Each is one line
 * that says that nothing was changed.
 */
import type { Lateness, LatenessQuestion } from '../applier/applier-messages.ts';
import { MillraceError } from '../base/errors.ts';
import { parsePositionSet } from '../binlog/position-set.ts';
import { parseTransactionIdText } from '../binlog/transaction-id.ts';
import { findTransaction, newestCommit } from '../relay/relay-log-search.ts';
import type { Channel } from './channel.ts';
import { PENDING_MAX } from './control-document.ts';
import type { ControlRequest } from './control-requests.ts';
import { untilText } from './control-words.ts';

/** A target, and where it is found. */
export interface Placed {
  readonly channel: Channel;
  readonly index: number;
  readonly target: string;
}

/** Throws when the transaction is executed on the target, or not in the relay log. */
export async function requireWaiting(placed: Placed, id: string): Promise<void> {
  const { channel, target } = placed;
  requireKind(channel, id);
  if (await isExecuted(placed, id)) throw tooLate(id, target);
  const log = { dir: channel.relayDir, published: channel.published };
  const found = await findTransaction(log, parseTransactionIdText(id));
  if (found !== null) return;
  throw new MillraceError('NOT_POSSIBLE', `${id} is not in the relay log of ${channel.name}`, {
    hint: channel.resyncing
      ? 'The relay log is being fetched again: say it again when that is done.'
      : 'Look it up with `millrace events`.',
  });
}

/** Throws when the channel's source names its transactions in another way. */
export function requireKind({ name, kind }: Channel, id: string): void {
  if (kind === null || parseTransactionIdText(id).kind === kind) return;
  const way = { gtid: 'GTIDs like uuid:7', mariadb: 'GTIDs like 0-1-7', position: 'FILE:POS' }[kind];
  throw new MillraceError(
    'MALFORMED_POSITION',
    `the source of ${name} names its transactions by ${way}, not as ${id}`,
  );
}

/** As far as the target is known to be; what is in flight is known to its applier. */
export async function isExecuted({ channel, index }: Placed, id: string): Promise<boolean> {
  const status = await channel.applierStatus(index);
  const executed = status?.executed ?? channel.executedText(index);
  const parsed = parseTransactionIdText(id);
  if (executed === null || parsed.kind !== channel.kind) return false;
  return parsePositionSet(parsed.kind, executed).has(parsed);
}

/** Something that the source committed then or later is executed on the target, as far as the relay log tells. */
export async function isTimePassed({ channel, index }: Placed, ms: number): Promise<boolean> {
  const status = await channel.applierStatus(index);
  const executed = status?.executed ?? channel.executedText(index);
  if (executed === null || channel.kind === null) return false;
  const log = { dir: channel.relayDir, published: channel.published };
  const newest = await newestCommit(log, parsePositionSet(channel.kind, executed));
  return newest !== null && newest >= BigInt(ms) * 1000n;
}

/** What has to be asked of the applier before the request is written down; null: nothing. */
export function questionOf(request: ControlRequest): LatenessQuestion | null {
  switch (request.do) {
    case 'until':
      return request.until === null ? null : { about: [], until: request.until };
    case 'skip':
    case 'approve':
      return { about: [request.id], until: null };
    default:
      return null;
  }
}

/** What the applier's answer says against the request; null: nothing. */
export function refusalOf(lateness: Lateness, request: ControlRequest, target: string): MillraceError | null {
  switch (request.do) {
    case 'until':
      if (request.until === null || !lateness.untilPassed) return null;
      return untilPassed(target, untilText(request.until));
    case 'skip':
    case 'approve':
      return lateness.passed.includes(request.id) ? tooLate(request.id, target) : null;
    default:
      return null;
  }
}

export function tooLate(id: string, target: string): MillraceError {
  const message = `${id} is executed or in flight on ${target} already; nothing was changed`;
  return new MillraceError('NOT_POSSIBLE', message);
}

/** Nobody can tell, and the other answer would be a promise. */
export function notConnected(target: string, id: string): MillraceError {
  const message = `${target} is not connected: nobody can tell whether ${id} was skipped already; nothing was changed`;
  return new MillraceError('CONNECTION_LOST', message, { hint: 'Say it again when it is connected.' });
}

export function untilPassed(target: string, what: string): MillraceError {
  const message = `${target} cannot stop ${what}: that has passed; nothing was changed`;
  return new MillraceError('NOT_POSSIBLE', message, {
    hint: `\`millrace pause ${target}\` stops it where it is.`,
  });
}

export function tooMany(target: string, what: string): MillraceError {
  const message = `${PENDING_MAX} transactions are to be ${what} on ${target} already`;
  return new MillraceError('NOT_POSSIBLE', message, { hint: 'Filter what should not be applied.' });
}
