/**
 * What operators tell a running Millrace: pause, resume, delay, skip, approve, until, reload. Each sends one request and prints the
 * answer, one line for people or the whole of it as JSON.
 *
 * What is wrong with the command line is said here, with exit code 2; what the running process refuses, with 1. A request whose
 * answer did not come may be sent again: done twice it is done once.
 */
import { userInfo } from 'node:os';
import { MillraceError } from '../base/errors.ts';
import { transactionIdText } from '../binlog/position-set.ts';
import { parseTransactionIdText } from '../binlog/transaction-id.ts';
import type { DeskAnswer } from '../channel/control-desk.ts';
import { DELAY_MS_MAX, REASON_LENGTH_MAX } from '../channel/control-document.ts';
import type { Caller, ControlRequest } from '../channel/control-requests.ts';
import { callControl } from '../channel/control-socket.ts';
import type { ReloadAnswer } from '../channel/reload.ts';
import { loadPlaces } from '../config/places.ts';
import { parseDuration, UnitError } from '../config/units.ts';
import { parseMoment } from './moment.ts';
import { EXIT, type ExitCode, type Terminal } from './terminal.ts';
import { type ConfigArguments, configFile, UsageError } from './verb.ts';

/** Looking a transaction up may read a relay file to its end. */
const ANSWER_MS = 120_000;

export interface OperatorArguments extends ConfigArguments {
  readonly channel?: string | undefined;
  readonly json: boolean;
}

export interface PartArguments extends OperatorArguments {
  /** `reader`, or a target's name. */
  readonly part: string;
}

export interface DelayArguments extends OperatorArguments {
  readonly target: string;
  readonly duration: string;
}

export interface IdArguments extends OperatorArguments {
  readonly gtid: string;
  readonly target?: string | undefined;
}

export interface SkipArguments extends IdArguments {
  readonly reason?: string | undefined;
}

export interface UntilArguments extends OperatorArguments {
  readonly target?: string | undefined;
  readonly before?: string | undefined;
  readonly after?: string | undefined;
  readonly time?: string | undefined;
  readonly cancel: boolean;
}

export function reload(args: OperatorArguments, terminal: Terminal): Promise<ExitCode> {
  return send(args, terminal, { do: 'reload', by: caller() });
}

export function pause(args: PartArguments, terminal: Terminal): Promise<ExitCode> {
  return send(args, terminal, { do: 'pause', ...whose(args), part: args.part });
}

export function resume(args: PartArguments, terminal: Terminal): Promise<ExitCode> {
  return send(args, terminal, { do: 'resume', ...whose(args), part: args.part });
}

export function delay(args: DelayArguments, terminal: Terminal): Promise<ExitCode> {
  const ms = args.duration === 'configured' ? null : delayMs(args.duration);
  return send(args, terminal, { do: 'delay', ...whose(args), target: args.target, ms });
}

export function skip(args: SkipArguments, terminal: Terminal): Promise<ExitCode> {
  const reason = args.reason?.trim() ?? '';
  if (reason === '') {
    throw new UsageError('skip needs --reason "…": why the transaction is left out, for the audit log');
  }
  if (reason.length > REASON_LENGTH_MAX || /\p{Cc}/u.test(reason)) {
    throw new UsageError(`--reason: expected one line of at most ${REASON_LENGTH_MAX} characters`);
  }
  return send(args, terminal, { do: 'skip', ...whose(args), ...whichOf(args), reason });
}

export function approve(args: IdArguments, terminal: Terminal): Promise<ExitCode> {
  return send(args, terminal, { do: 'approve', ...whose(args), ...whichOf(args) });
}

export function until(args: UntilArguments, terminal: Terminal): Promise<ExitCode> {
  const { before, after, time, cancel, target = null } = args;
  const given = [before, after, time, cancel ? '' : undefined].filter((each) => each !== undefined);
  if (given.length !== 1) {
    throw new UsageError('until needs one of --before GTID, --after GTID, --time TIME, --cancel');
  }
  const where = cancel ? null : whereTo({ before, after, time });
  return send(args, terminal, { do: 'until', ...whose(args), target, until: where });
}

function whereTo({ before, after, time }: Pick<UntilArguments, 'before' | 'after' | 'time'>) {
  if (before !== undefined) return { is: 'before', id: transaction(before, '--before') } as const;
  if (after !== undefined) return { is: 'after', id: transaction(after, '--after') } as const;
  const ms = parseMoment(time ?? '');
  if (ms !== null) return { is: 'time', ms } as const;
  throw new UsageError(
    `--time: ${JSON.stringify(time)} is no time; write 2026-02-03T04:05:06Z, or "2026-02-03 04:05:06" in the time zone of this machine`,
  );
}

function whichOf({ gtid, target }: IdArguments) {
  return { target: target ?? null, id: transaction(gtid, 'GTID') };
}

/** In the canonical spelling. */
function transaction(text: string, option: string): string {
  try {
    return transactionIdText(parseTransactionIdText(text.trim()));
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    throw new UsageError(
      `${option}: ${error.message}; expected one GTID (uuid:7, uuid:tag:7, on MariaDB 0-1-7), or FILE:POS where there are none`,
    );
  }
}

function delayMs(text: string): number {
  try {
    const ms = parseDuration(text);
    if (ms <= DELAY_MS_MAX) return ms;
    throw new UnitError(`${text} is not from 0s to 3650d`);
  } catch (error) {
    if (error instanceof UnitError) {
      throw new UsageError(`DURATION: ${error.message}; or configured, for what the configuration says`);
    }
    throw error;
  }
}

function whose({ channel }: OperatorArguments): { channel: string | null; by: Caller } {
  return { channel: channel ?? null, by: caller() };
}

function caller(): Caller {
  try {
    const { uid, username } = userInfo();
    return { uid: uid < 0 ? null : uid, user: username };
  } catch {
    // A user without a name, as in many containers.
    return { uid: process.getuid?.() ?? null, user: null };
  }
}

async function send(args: OperatorArguments, terminal: Terminal, request: ControlRequest): Promise<ExitCode> {
  const { dataDir } = loadPlaces(configFile(args, terminal), terminal.env);
  const answer = (await callControl(dataDir, request, ANSWER_MS)) as DeskAnswer | ReloadAnswer;
  terminal.out(`${args.json ? JSON.stringify(answer, null, 2) : answer.message}\n`);
  return EXIT.done;
}
