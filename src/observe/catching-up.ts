/**
 * When a target will have caught up, by how fast its backlog has shrunk in the last minute. Pure.
 */

export interface Eta {
  /** Null: unknown, or never. */
  readonly seconds: number | null;
  /** `caught up`, `in 4 min`, `never at this rate`, `unknown`; `paused`, `held`, `delayed`. */
  readonly text: string;
}

export interface BacklogFacts {
  readonly lagSeconds: number | null;
  /** From the source's head to what is applied; null: not known. */
  readonly backlogBytes: number | null;
  /** Bytes a second that it shrinks by; null: not known. */
  readonly drainRate: number | null;
  /** It does not try to catch up, and why: `paused`, `held`, `delayed`. */
  readonly kept: string | null;
}

/** Nobody waits for a target that is no more behind than this. */
const CAUGHT_UP_SECONDS = 2;
/** A backlog that shrinks so slowly would last longer than anybody waits: ten years. */
const FOREVER_SECONDS = 315_360_000;

export function etaOf({ lagSeconds, backlogBytes, drainRate, kept }: BacklogFacts): Eta {
  if (kept !== null) return { seconds: null, text: kept };
  if (lagSeconds !== null && lagSeconds < CAUGHT_UP_SECONDS) return { seconds: 0, text: 'caught up' };
  if (backlogBytes === null || backlogBytes === 0 || drainRate === null)
    return { seconds: null, text: 'unknown' };
  const seconds = backlogBytes / drainRate;
  if (drainRate <= 0 || seconds > FOREVER_SECONDS) return { seconds: null, text: 'never at this rate' };
  return { seconds: Math.ceil(seconds), text: `in ${spanText(Math.ceil(seconds))}` };
}

/** `<0.1 s`, `0.4 s`, `12 s`, `5 min`, `3.2 h`, `8 d` */
export function spanText(seconds: number): string {
  if (seconds > 0 && seconds < 0.05) return '<0.1 s';
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${(seconds / 3600).toFixed(1)} h` : `${Math.round(seconds / 86_400)} d`;
}
