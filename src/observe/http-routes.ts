/**
 * What is answered to which path.
 *
 *   GET   /                 the page                      /page/…        its files
 *         /status.json      the status                    /history.json?channel=…   the last quarter of an hour
 *         /metrics          Prometheus
 *         /healthz          200: the process lives        /readyz        200: every channel runs
 *         /healthz/lag?channel=…&target=…&max=5s          200: the target is that fresh
 *   POST  /api/VERB         {"channel":…,"target":…,…}: pause, resume, delay, skip, approve, until, with the token
 *
 * Every answer is whole before it is sent, and small; the status is made once for everybody (observer.ts).
 */
import { errorLine, MillraceError, toPlain } from '../base/errors.ts';
import { parseDuration, UnitError } from '../config/units.ts';
import { lagVerdict, readiness, type Verdict } from './health.ts';
import type { Observer } from './observer.ts';
import type { PageFile } from './page-files.ts';

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: Buffer;
}

export interface RouteSurroundings {
  readonly observer: Observer;
  readonly files: ReadonlyMap<string, PageFile>;
  readonly metrics: () => Promise<{ readonly type: string; readonly text: string }>;
  /** A verb with its fields, as over the control socket. Throws what the caller did wrong, or what went wrong. */
  readonly command: (
    verb: string,
    fields: Readonly<Record<string, unknown>>,
    from: string,
  ) => Promise<unknown>;
  readonly verbs: readonly string[];
}

const TEXT = 'text/plain; charset=utf-8';
const JSON_TYPE = 'application/json; charset=utf-8';
const MAX_DEFAULT_SECONDS = 5;
const API = '/api/';

export function changesSomething(path: string): boolean {
  return path.startsWith(API);
}

/** A request that may be answered. Rejects only with a fault of ours. */
export async function answerGet(url: URL, around: RouteSurroundings): Promise<Answer> {
  const { observer, files } = around;
  const file = files.get(url.pathname);
  if (file !== undefined) return { status: 200, ...file };
  switch (url.pathname) {
    case '/healthz':
      return line(200, 'ok');
    case '/readyz':
      return verdict(readiness(await observer.status()));
    case '/healthz/lag':
      return lag(url.searchParams, around);
    case '/status.json':
      return { status: 200, type: JSON_TYPE, body: (await observer.observe()).json };
    case '/history.json':
      return history(url.searchParams, around);
    case '/metrics': {
      const { type, text } = await around.metrics();
      return { status: 200, type, body: Buffer.from(text) };
    }
    default:
      return line(404, 'there is nothing here');
  }
}

export async function answerPost(
  url: URL,
  body: string,
  from: string,
  around: RouteSurroundings,
): Promise<Answer> {
  const verb = url.pathname.slice(API.length);
  if (!around.verbs.includes(verb)) {
    return failed(404, new MillraceError('PROTOCOL', `no such verb; known are ${around.verbs.join(', ')}`));
  }
  try {
    const result = await around.command(verb, fieldsOf(body), from);
    return json(200, { ok: true, result: result ?? null });
  } catch (error) {
    return failed(statusOf(error), error);
  }
}

/** What went wrong, as the control socket says it. */
export function failed(status: number, error: unknown): Answer {
  const plain = toPlain(error);
  return json(status, { ok: false, error: { ...plain, line: errorLine(plain) } });
}

export function line(status: number, text: string): Answer {
  return { status, type: TEXT, body: Buffer.from(`${text.replace(/\s*\n\s*/g, ' ')}\n`) };
}

function json(status: number, value: unknown): Answer {
  return { status, type: JSON_TYPE, body: Buffer.from(`${JSON.stringify(value)}\n`) };
}

function verdict({ well, line: text }: Verdict): Answer {
  return line(well ? 200 : 503, text);
}

async function lag(query: URLSearchParams, { observer }: RouteSurroundings): Promise<Answer> {
  const maxSeconds = secondsOf(query.get('max'));
  if (maxSeconds === null) return line(400, 'max: expected a duration with its unit, like 5s or 500ms');
  const channel = query.get('channel');
  const target = query.get('target');
  const answer = lagVerdict(await observer.status(), { channel, target, maxSeconds });
  return answer.verdict === null ? line(404, answer.line) : verdict(answer.verdict);
}

function secondsOf(text: string | null): number | null {
  if (text === null) return MAX_DEFAULT_SECONDS;
  try {
    return parseDuration(text) / 1000;
  } catch (error) {
    if (error instanceof UnitError) return null;
    throw error;
  }
}

async function history(query: URLSearchParams, { observer }: RouteSurroundings): Promise<Answer> {
  const names = (await observer.status()).channels.map(({ name }) => name);
  const channel = query.get('channel') ?? (names.length === 1 ? names[0]! : '');
  const columns = observer.history(channel);
  if (columns === null) return line(404, `which channel? there are ${names.join(', ')}`);
  return json(200, columns);
}

function fieldsOf(body: string): Record<string, unknown> {
  let fields: unknown;
  try {
    fields = JSON.parse(body === '' ? '{}' : body);
  } catch {
    throw new MillraceError('PROTOCOL', 'the body is not JSON');
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
    throw new MillraceError('PROTOCOL', 'the body is not a JSON object');
  }
  return fields as Record<string, unknown>;
}

/** Of the caller's making are what cannot be understood and what is not there; the rest is ours or the state's. */
function statusOf(error: unknown): number {
  if (!(error instanceof MillraceError)) return 500;
  switch (error.code) {
    case 'PROTOCOL':
    case 'MALFORMED_POSITION':
      return 400;
    case 'CONFIG':
      return 404;
    case 'INTERNAL':
      return 500;
    default:
      return 409;
  }
}
