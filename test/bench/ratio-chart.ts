/**
 * A bar chart of ratios as SVG: one bar a row, a mark where the server's own replica stands, a whisker from the least to the most
 * of the rounds. Legible on a light and on a dark page: the colours follow the reader's scheme.
 */

export interface Bar {
  readonly group: string;
  readonly label: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
}

const WIDTH = 860;
const LABELS = 330;
const VALUES = 130;
const ROW = 22;
const GROUP_GAP = 26;
const TOP = 58;
const BOTTOM = 34;

const STYLE = `
  text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 } .group { font-weight: 600 } .small { font-size: 11px; fill: #59636e }
  .grid { stroke: #d1d9e0 } .one { stroke: #59636e; stroke-width: 1.5 } .bar { fill: #2f81c7 } .slow { fill: #c2681d }
  .whisker { stroke: #1f2328 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 } .grid { stroke: #3d444d } .one { stroke: #9198a1 }
    .bar { fill: #4493f8 } .slow { fill: #db8a3b } .whisker { stroke: #e6edf3 }
  }`;

/** Bars of one group stand together, groups in the order of their first bar. `one`: what a ratio of 1 is. */
export function ratioChart(title: string, one: string, bars: readonly Bar[]): string {
  const groups = [...new Set(bars.map(({ group }) => group))];
  const height = TOP + groups.length * GROUP_GAP + bars.length * ROW + BOTTOM;
  const most = Math.max(1, ...bars.map(({ max }) => max));
  const step = most <= 2 ? 0.25 : most <= 5 ? 0.5 : most <= 12 ? 1 : Math.ceil(most / 10);
  const end = Math.ceil(most / step) * step;
  const x = (ratio: number): number => LABELS + (ratio / end) * (WIDTH - LABELS - VALUES);
  const parts: string[] = [
    `<text class="title" x="12" y="24">${escaped(title)}</text>`,
    `<text class="small" x="12" y="42">${escaped(`1× = ${one}; bars are medians, lines reach from the worst round to the best`)}</text>`,
  ];
  for (let ratio = 0; ratio <= end + 1e-9; ratio += step) {
    parts.push(
      `<line class="grid" x1="${at(x(ratio))}" x2="${at(x(ratio))}" y1="${TOP}" y2="${height - BOTTOM}"/>`,
      `<text class="small" text-anchor="middle" x="${at(x(ratio))}" y="${height - BOTTOM + 16}">${Number(ratio.toFixed(2))}×</text>`,
    );
  }
  let y = TOP;
  for (const group of groups) {
    parts.push(`<text class="group" x="12" y="${y + 18}">${escaped(group)}</text>`);
    y += GROUP_GAP;
    for (const bar of bars.filter((each) => each.group === group)) {
      parts.push(...barParts(bar, y, x));
      y += ROW;
    }
  }
  parts.push(`<line class="one" x1="${at(x(1))}" x2="${at(x(1))}" y1="${TOP}" y2="${height - BOTTOM}"/>`);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escaped(title)}">`,
    `<style>${STYLE}\n</style>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

function barParts(bar: Bar, y: number, x: (ratio: number) => number): string[] {
  const middle = y + ROW / 2 - 2;
  const parts = [
    `<text x="24" y="${middle + 5}">${escaped(bar.label)}</text>`,
    `<rect class="${bar.value < 1 ? 'slow' : 'bar'}" x="${at(x(0))}" y="${y}" width="${at(x(bar.value) - x(0))}" height="${ROW - 5}" rx="2"/>`,
  ];
  if (bar.max > bar.min) {
    parts.push(
      `<line class="whisker" x1="${at(x(bar.min))}" x2="${at(x(bar.max))}" y1="${middle}" y2="${middle}"/>`,
    );
  }
  const text = `${bar.value.toFixed(2)}×`;
  parts.push(`<text x="${at(Math.max(x(bar.value), x(bar.max)) + 8)}" y="${middle + 5}">${text}</text>`);
  return parts;
}

function at(position: number): string {
  return String(Number(position.toFixed(1)));
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
