/**
 * Whether a look at the source's head goes on with what was received before it, or tells of another history: binary logs that
 * were reset beneath a dump that stays connected and silent, and whose heartbeats go on naming the old position.
 *
 *   received │──────────── when the look was begun      the source said all of it: the look must find it there
 *   look     │──────────────▶ place, set
 *
 *   broken    its log ends before what we have of it, or before the look before; or what we have is missing in it for long
 *   pending   something that we have is missing in its set: MySQL sends a transaction before it is committed, and with
 *             semi-sync long before. Nothing is proven by that look, and nothing is known to be wrong
 *   sound     everything else
 *
 * Pure; no I/O, no clock.
 */
import { comparePlaces, type HeadLook, type Received, type SourcePlace } from './head-samples.ts';

/** Longer than a source usually waits for its semi-sync replicas. */
const PENDING_MS_MAX = 60_000;

export type Continuity =
  | { readonly is: 'sound' }
  | { readonly is: 'pending' }
  | { readonly is: 'broken'; readonly why: string };

export class HeadContinuity {
  #place: SourcePlace | null = null;
  /** What was missing first, and since when. */
  #pending: { readonly had: Received; readonly sinceMs: number } | null = null;

  /** Another dump: what it said decides. */
  clear(): void {
    this.#place = null;
    this.#pending = null;
  }

  /** `had`: what was received when the look was begun. `commitsLater`: the set may come after the dump. */
  judge(look: HeadLook, had: Received, commitsLater: boolean): Continuity {
    const { place } = look;
    const before = this.#place;
    this.#place = place ?? before;
    if (isBefore(place, had.place)) return broken(place!, `we have received ${text(had.place!)}`);
    if (isBefore(place, before)) return broken(place!, `it has been at ${text(before!)}`);
    if (!lacks(look, had)) {
      this.#pending = null;
      return { is: 'sound' };
    }
    if (!commitsLater) return { is: 'broken', why: 'it lacks transactions that we have received from it' };
    // What was missing before has come: that was a commit on its way, and this is another.
    if (this.#pending === null || !lacks(look, this.#pending.had)) {
      this.#pending = { had: { place: had.place, set: had.set }, sinceMs: look.begunMs };
    }
    if (look.begunMs - this.#pending.sinceMs < PENDING_MS_MAX) return { is: 'pending' };
    return { is: 'broken', why: 'for a minute it has lacked transactions that we have received from it' };
  }
}

function broken(place: SourcePlace, but: string): Continuity {
  return { is: 'broken', why: `it says that it is at ${text(place)}, but ${but}` };
}

function lacks(look: HeadLook, had: Received): boolean {
  const has = look.history ?? look.set;
  return has !== null && had.set !== null && !has.containsAll(had.set);
}

function isBefore(a: SourcePlace | null, b: SourcePlace | null): boolean {
  if (a === null || b === null) return false;
  const order = comparePlaces(a, b);
  return order !== null && order < 0;
}

function text({ file, position }: SourcePlace): string {
  return `${file}:${position}`;
}
