/**
 * GTID sets as bars: one row for each source of transactions, one bar for each place that has a set, a gap for each hole.
 *
 *   uuid:1-5:7,uuid:tag:1-3      MySQL; a tag is a row of its own
 *   0-1-1234,1-3-45              MariaDB; a domain is a row, and everything up to its number is there
 */

const ROWS_MAX = 12;
/** A bar's own units: the drawing is scaled to its width. */
const WIDTH = 1000;
const GAP_MIN = 3;

/**
 * @typedef {{ first: bigint, last: bigint }} Interval
 */

/**
 * By sid (`uuid` or `uuid:tag`), or by domain. Null: this is no set (a position).
 * @param {string | null | undefined} set
 * @returns {Map<string, Interval[]> | null}
 */
export function parseSet(set) {
  if (set === null || set === undefined) return null;
  /** @type {Map<string, Interval[]>} */
  const rows = new Map();
  for (const block of set.replace(/\s/g, '').split(',')) {
    if (block === '') continue;
    const mariadb = /^(\d+)-(\d+)-(\d+)$/.exec(block);
    if (mariadb !== null) {
      rows.set(`domain ${mariadb[1]}`, [{ first: 1n, last: BigInt(mariadb[3] ?? 0) }]);
      continue;
    }
    const [uuid, ...parts] = block.split(':');
    if (uuid === undefined || !/^[0-9a-f]{8}-/i.test(uuid)) return null;
    let sid = uuid;
    for (const part of parts) {
      const numbers = /^(\d+)(?:-(\d+))?$/.exec(part);
      if (numbers === null) {
        sid = `${uuid}:${part}`;
        continue;
      }
      const first = BigInt(numbers[1] ?? 0);
      const intervals = rows.get(sid) ?? [];
      intervals.push({ first, last: numbers[2] === undefined ? first : BigInt(numbers[2]) });
      rows.set(sid, intervals);
    }
  }
  return rows;
}

/** Between the intervals. @param {Interval[]} intervals @returns {Interval[]} */
export function holesOf(intervals) {
  const holes = [];
  for (let i = 1; i < intervals.length; i++) {
    const before = intervals[i - 1];
    const after = intervals[i];
    if (before && after) holes.push({ first: before.last + 1n, last: after.first - 1n });
  }
  return holes;
}

/** `17`, `40-44`, as the set itself writes it. @param {Interval} interval */
export function intervalText({ first, last }) {
  return first === last ? `${first}` : `${first}-${last}`;
}

/**
 * What is to be drawn, by sid; null: no place has a set.
 * @param {(string | null | undefined)[]} texts
 */
export function gtidRows(texts) {
  const sets = texts.map(parseSet);
  const sids = [...new Set(sets.flatMap((set) => [...(set?.keys() ?? [])]))].sort();
  if (sids.length === 0) return null;
  const shown = sids.slice(0, ROWS_MAX).map((sid) => {
    // Null: this place's set is not known.
    const bars = sets.map((set) => (set === null ? null : (set.get(sid) ?? [])));
    const ends = bars.flatMap((intervals) => intervals ?? []).flatMap(({ first, last }) => [first, last]);
    const sorted = ends.sort((a, b) => (a < b ? -1 : 1));
    const from = sorted[0] ?? 0n;
    const to = sorted.at(-1) ?? 0n;
    return { sid, from, to, bars };
  });
  return { shown, more: sids.length - shown.length };
}

/**
 * Where the intervals stand on a bar, as [from, to] in 0 … WIDTH. A hole is never narrower than can be seen.
 * @param {Interval[]} intervals @param {bigint} from @param {bigint} to
 * @returns {[number, number][]}
 */
export function segmentsOf(intervals, from, to) {
  const length = to - from + 1n;
  const place = (/** @type {bigint} */ number) => Number(((number - from) * 1_000_000n) / length) / 1_000_000;
  /** @type {[number, number][]} */
  const segments = [];
  for (const { first, last } of intervals) {
    const start = place(first) * WIDTH;
    const end = place(last + 1n) * WIDTH;
    const before = segments.at(-1);
    if (before !== undefined && start - before[1] < GAP_MIN) {
      const middle = (start + before[1]) / 2;
      // So many holes that they cannot be told apart are drawn as one.
      if (middle - GAP_MIN / 2 <= before[0] + 1) {
        before[1] = Math.max(before[1], end - GAP_MIN);
        continue;
      }
      before[1] = middle - GAP_MIN / 2;
      segments.push([middle + GAP_MIN / 2, Math.max(end, middle + GAP_MIN / 2 + 1)]);
    } else segments.push([start, Math.max(end, start + 1)]);
  }
  return segments;
}

const SVG = 'http://www.w3.org/2000/svg';

/**
 * @param {[number, number][]} segments
 * @param {string} label
 */
export function bar(segments, label) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'bar');
  svg.setAttribute('viewBox', `0 0 ${WIDTH} 10`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', label);
  const ground = document.createElementNS(SVG, 'rect');
  for (const [key, value] of [
    ['class', 'ground'],
    ['width', WIDTH],
    ['height', 10],
  ]) {
    ground.setAttribute(String(key), String(value));
  }
  svg.append(ground);
  for (const [from, to] of segments) {
    const rect = document.createElementNS(SVG, 'rect');
    rect.setAttribute('x', from.toFixed(2));
    rect.setAttribute('width', (to - from).toFixed(2));
    rect.setAttribute('height', '10');
    svg.append(rect);
  }
  return svg;
}
