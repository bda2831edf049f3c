/**
 * How old the oldest thing is that the source has and we have not, told from looks at the source's head taken now and then.
 *
 *   looks      │ 1 ──── 2 ──── 3 ──── 4 ──── 5     each: when it was begun, and how far the source was
 *   received   │────────────┤                      1 is reached, 2 is not
 *
 * What is missing was committed after look 1 was begun, or look 1 would have seen it: its age is at most the time since then.
 * And everything that the source had when look 1 was begun is here: that is the proof that a lag of 0 needs. Both are
 * measured on our own monotonic clock, so that no clock of a server and no step of ours can falsify them.
 *
 * Invariant: a bounded number of looks is kept; when there are too many, every other one goes, and the ages get coarser.
 * Pure; no I/O, no clock.
 */
import type { PositionSet } from '../binlog/position-set.ts';

const LOOKS_MAX = 256;
/** Sets may be large; without positions there are fewer of them. */
const SET_LOOKS_MAX = 16;
/** Without any proof before it, what the first look sees is taken to be so much older than the look. */
const BEFORE_LOOK_MS = 1_500;

/** A place in the source's binary log. */
export interface SourcePlace {
  readonly file: string;
  readonly position: number;
}

export interface HeadLook {
  /** Monotonic, before the question was sent. */
  readonly begunMs: number;
  /** Null: the account may not ask. */
  readonly place: SourcePlace | null;
  /** Null: the source names its transactions by position. */
  readonly set: PositionSet | null;
  /** Everything the source says that it has ever had, where that is more than `set`. */
  readonly history?: PositionSet;
}

/** What is received: the end of the last whole transaction. */
export interface Received {
  readonly place: SourcePlace | null;
  readonly set: PositionSet | null;
}

export interface HeadAges {
  /** So long ago the source had nothing that is not received; null: never known. */
  readonly proofAgeMs: number | null;
  /** At most so long something that the source has is missing here; null: nothing is known to be missing. */
  readonly missingAgeMs: number | null;
}

export const NO_AGES: HeadAges = { proofAgeMs: null, missingAgeMs: null };

/** What is missing was committed after the last transaction that came. `sourceNowMs`: the latest that the source's clock can say. */
export function committedLater(
  ages: HeadAges,
  lastCommitMicros: bigint | null,
  sourceNowMs: number | null,
): HeadAges {
  if (ages.missingAgeMs === null || lastCommitMicros === null || sourceNowMs === null) return ages;
  const ageMs = sourceNowMs - Number(lastCommitMicros / 1000n);
  // The clock was set since it was last read.
  if (ageMs < 0) return ages;
  return { ...ages, missingAgeMs: Math.max(1, Math.min(ages.missingAgeMs, ageMs)) };
}

export class HeadSamples {
  /** Not reached, oldest first. The last one is the newest look; of the others every `#stride`-th is kept. */
  #looks: HeadLook[] = [];
  #stride = 1;
  #sinceKept = 0;
  #provenMs: number | null = null;
  /** The newest look that went on with what was received (head-continuity.ts). */
  #soundMs: number | null = null;
  #doubted = false;

  /** A look that goes on with what was received. */
  add(look: HeadLook): void {
    if (look.place === null && look.set === null) return;
    this.#soundMs = look.begunMs;
    this.#doubted = false;
    const looks = this.#looks;
    // The one before it was kept only as the newest.
    if (looks.length > 1 && this.#sinceKept % this.#stride !== 0) looks.pop();
    looks.push(look);
    this.#sinceKept += 1;
    if (looks.length <= (look.place === null ? SET_LOOKS_MAX : LOOKS_MAX)) return;
    this.#looks = looks.filter((_, index) => index % 2 === 0);
    this.#stride *= 2;
    this.#sinceKept = 0;
  }

  /** Nothing is proven until the next look that is added: what heartbeats have said since the last one may have been untrue. */
  doubt(): void {
    this.#doubted = true;
    if (this.#provenMs === null) return;
    this.#provenMs = this.#soundMs === null ? null : Math.min(this.#provenMs, this.#soundMs);
  }

  get doubted(): boolean {
    return this.#doubted;
  }

  /** Another proof, from the dump itself: a heartbeat that named exactly our position. */
  proven(atMs: number): void {
    if (this.#doubted) return;
    this.#provenMs = Math.max(this.#provenMs ?? Number.NEGATIVE_INFINITY, atMs);
  }

  /** Another source, whose positions mean something else. */
  clear(): void {
    this.#looks = [];
    this.#stride = 1;
    this.#provenMs = null;
    this.#soundMs = null;
    this.#doubted = false;
  }

  ages(received: Received, nowMs: number): HeadAges {
    while (this.#looks[0] !== undefined && isReached(this.#looks[0], received)) {
      this.#provenMs = Math.max(this.#provenMs ?? Number.NEGATIVE_INFINITY, this.#looks[0].begunMs);
      this.#looks.shift();
    }
    const first = this.#looks[0];
    if (first === undefined) this.#stride = 1;
    const provenMs = this.#provenMs;
    return {
      proofAgeMs: provenMs === null ? null : Math.max(0, nowMs - provenMs),
      missingAgeMs:
        first === undefined ? null : Math.max(1, nowMs - (provenMs ?? first.begunMs - BEFORE_LOOK_MS)),
    };
  }
}

/** Where both sets are known they alone decide: after a reset, and on another server, files have other names. */
function isReached(look: HeadLook, received: Received): boolean {
  if (look.set !== null && received.set !== null) return received.set.containsAll(look.set);
  if (look.place === null || received.place === null) return false;
  const order = comparePlaces(received.place, look.place);
  return order !== null && order >= 0;
}

/** Below 0: `a` is before `b`; null: they are not of one binary log. */
export function comparePlaces(a: SourcePlace, b: SourcePlace): number | null {
  const fileA = splitName(a.file);
  const fileB = splitName(b.file);
  if (fileA === null || fileB === null || fileA.base !== fileB.base) return null;
  return fileA.number - fileB.number || a.position - b.position;
}

/** `binlog.000042` → binlog, 42 */
export function splitName(file: string): { readonly base: string; readonly number: number } | null {
  const match = /^(.*)\.(\d{1,15})$/.exec(file);
  return match === null ? null : { base: match[1]!, number: Number(match[2]) };
}
