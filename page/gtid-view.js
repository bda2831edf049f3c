/**
 * The sets of a channel, one above the other: what the source has, what is received, what each target has.
 */
import { h } from './dom.js';
import { bar, gtidRows, holesOf, intervalText, segmentsOf } from './gtid.js';

const HOLES_SHOWN = 4;
const INTERVALS_SHOWN = 3;

/**
 * @typedef {import('./gtid.js').Interval} Interval
 * @typedef {{ label: string, path: string | undefined }} Place
 */

/**
 * The first place is the source, the second the relay log. What is received came from the source: when that was asked before, its
 * own set is the older one, and is not drawn as if it were behind.
 * @param {Place[]} places @param {(string | null | undefined)[]} texts @returns {(Node | string)[]}
 */
export function gtidView(places, texts) {
  const rows = gtidRows(texts);
  if (rows === null) return [];
  const parts = rows.shown.map(({ sid, from, to, bars }) => {
    const lines = bars.map((intervals, index) => {
      const [source, received] = bars;
      const older = index === 0 && source && received && lastOf(source) < lastOf(received);
      const path = older ? places[1]?.path : places[index]?.path;
      return gtidLine({ label: places[index]?.label ?? '', path }, older ? received : intervals, from, to);
    });
    return h('div.sid', {}, h('h4', { title: sid, 'data-static': true }, sid), ...lines);
  });
  if (rows.more > 0) parts.push(h('p.muted', { 'data-static': true }, `and ${rows.more} more`));
  return parts;
}

/** @param {Interval[]} intervals */
function lastOf(intervals) {
  return intervals.at(-1)?.last ?? 0n;
}

/**
 * @param {Place} place @param {Interval[] | null} intervals
 * @param {bigint} from @param {bigint} to
 */
function gtidLine(place, intervals, from, to) {
  const { label, path } = place;
  if (intervals === null) {
    return h('div.gtid-line', {}, h('span.label', {}, label), h('span.unknown', {}, 'unknown'), h('span'));
  }
  const holes = holesOf(intervals);
  const words = intervals.length === 0 ? 'nothing' : intervalsText(intervals);
  const spoken = holes.length === 0 ? 'without holes' : `${holes.length} holes`;
  return h(
    'div.gtid-line',
    {},
    h('span.label', {}, label),
    bar(segmentsOf(intervals, from, to), `${label}: ${words}, ${spoken}`),
    h('span.intervals', { 'data-part-of': path }, words),
    holes.length === 0 ? null : holesLine(path, holes),
  );
}

/** @param {Interval[]} intervals */
function intervalsText(intervals) {
  const shown = intervals.slice(-INTERVALS_SHOWN).map(intervalText).join(':');
  return intervals.length > INTERVALS_SHOWN ? `…:${shown}` : shown;
}

/** @param {Place | undefined} place @param {Interval[]} holes */
function holesLine(path, holes) {
  const shown = holes.slice(-HOLES_SHOWN).map((hole) => {
    return h('span.hole', { 'data-hole-of': path }, intervalText(hole));
  });
  const more = holes.length - shown.length;
  const noun = holes.length === 1 ? 'hole' : 'holes';
  return h(
    'span.holes',
    {},
    `${noun} `,
    ...shown.flatMap((each, index) => (index === 0 ? [each] : [', ', each])),
    more > 0 ? h('span', { 'data-static': true }, ` and ${more} more`) : null,
  );
}
