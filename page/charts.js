/**
 * The curves of a channel: lag and throughput over the last quarter of an hour. What is not known is a gap.
 */

import { h } from './dom.js';
import { span } from './format.js';
import uPlot from './uplot.js';

const SPAN_SECONDS = 900;
const SPAN_MIN = 120;
const HEIGHT = 170;
const RAW_MAX = 120;

/**
 * @typedef {{ label: string, stroke: string, dash?: number[], width?: number, fill?: string }} Line
 * @typedef {{ at: number, lag: (number | null)[], flow: (number | null)[] }} Point
 */

/** @param {string} name */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** `14:03`, with its seconds when it is no whole minute. @param {number} seconds */
function minute(seconds) {
  const time = new Date(seconds * 1000).toLocaleTimeString('en-GB');
  return time.endsWith(':00') ? time.slice(0, 5) : time;
}

/** @param {number} value */
function shortNumber(value) {
  if (value >= 1_000_000) return `${Number((value / 1_000_000).toFixed(1))}M`;
  return value >= 10_000 ? `${Number((value / 1000).toFixed(1))}k` : String(Number(value.toFixed(2)));
}

class Chart {
  /**
   * @param {string} title
   * @param {() => Line[]} lines
   * @param {(value: number) => string} tick
   */
  constructor(title, lines, tick) {
    this.lines = lines;
    this.tick = tick;
    this.frame = h('div.plot', { role: 'img', 'aria-label': title });
    this.legend = h('div.legend', { 'aria-hidden': true });
    this.element = h('figure.chart', {}, h('figcaption', {}, h('h4', {}, title), this.legend), this.frame);
    /** @type {any} */
    this.plot = null;
    /** @type {(number | null)[][]} */
    this.data = [[], ...lines().map(() => [])];
    new ResizeObserver(() => this.resize()).observe(this.frame);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
  }

  /** Anew: also when the colours have changed. */
  draw() {
    this.plot?.destroy();
    this.plot = null;
    const width = this.frame.clientWidth;
    if (width === 0) return;
    const lines = this.lines();
    this.legend.replaceChildren(
      ...lines.map((line) => {
        const mark = h('i.mark');
        mark.style.setProperty('--mark', line.stroke);
        if (line.dash !== undefined) mark.classList.add('dashed');
        return h('span', {}, mark, line.label);
      }),
    );
    const axis = {
      stroke: colour('--muted'),
      font: `11px ${getComputedStyle(document.body).fontFamily}`,
      grid: { stroke: colour('--line'), width: 1 },
      ticks: { show: false },
    };
    this.plot = new uPlot(
      {
        width,
        height: HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: {
            time: true,
            range: (_u, min, max) => [Math.max(max - SPAN_SECONDS, Math.min(min, max - SPAN_MIN)), max],
          },
          y: { range: (_u, _min, max) => [0, Math.max(1, max * 1.1)] },
        },
        axes: [
          { ...axis, size: 30, space: 90, values: (_u, ticks) => ticks.map(minute) },
          { ...axis, size: 52, values: (_u, ticks) => ticks.map((value) => this.tick(value)) },
        ],
        series: [
          {},
          ...lines.map(({ label, stroke, dash, width: stroked = 1.6, fill }) => {
            return { label, stroke, dash, width: stroked, fill, points: { show: false }, spanGaps: false };
          }),
        ],
      },
      this.data,
      this.frame,
    );
  }

  resize() {
    const width = this.frame.clientWidth;
    if (this.plot === null || width === 0) this.draw();
    else if (this.plot.width !== width) this.plot.setSize({ width, height: HEIGHT });
  }

  /** @param {(number | null)[][]} data */
  show(data) {
    this.data = data;
    if (this.plot === null) this.draw();
    else this.plot.setData(data);
  }
}

/** The two charts of a channel and the points behind them. */
export class Charts {
  /** @param {string[]} targets */
  constructor(targets) {
    this.targets = targets;
    /** @type {Point[]} */
    this.points = [];
    /** @type {{ at: number, counters: number[] } | null} */
    this.last = null;
    /** What came since the page was opened, until the history has come. @type {{ at: number, lag: (number | null)[], counters: number[] }[]} */
    this.raw = [];
    const several = targets.length > 1;
    const ofTarget = (name) => (several ? `on ${name}` : 'applied');
    const lagLines = () => [
      { label: 'received', stroke: colour('--muted'), dash: [5, 4] },
      { label: 'durable', stroke: colour('--faint'), dash: [2, 3] },
      ...targets.map((name, index) => ({ label: ofTarget(name), stroke: shade(index), width: 2 })),
    ];
    const flowLines = () => [
      { label: 'received', stroke: colour('--muted'), dash: [5, 4] },
      ...targets.map((name, index) => ({
        label: ofTarget(name),
        stroke: shade(index),
        width: 2,
        ...(several ? {} : { fill: colour('--wash') }),
      })),
    ];
    this.lag = new Chart('Lag', lagLines, (value) => span(value));
    this.flow = new Chart('Transactions per second', flowLines, shortNumber);
    this.element = h('div.charts', {}, this.lag.element, this.flow.element);
  }

  /** Of before this page was opened. @param {any} history columns of /history.json */
  fill(history) {
    const later = this.raw;
    this.raw = [];
    this.points = [];
    this.last = null;
    for (const [row, at] of history.at.entries()) {
      this.#add(
        at,
        [history.received_lag[row], history.durable_lag[row], ...history.targets.map((t) => t.lag[row])],
        [history.transactions[row], ...history.targets.map((t) => t.transactions[row])],
      );
    }
    for (const { at, lag, counters } of later) this.#add(at, lag, counters);
    this.show();
  }

  /** @param {any} channel @param {number} at */
  add(channel, at) {
    const { reader, targets } = channel;
    this.#add(
      at,
      [reader.lag.received.seconds, reader.lag.durable.seconds, ...targets.map((t) => t.lag.total.seconds)],
      [reader.transactions_received, ...targets.map((t) => t.transactions_applied)],
    );
    this.show();
  }

  /** @param {number} at @param {(number | null)[]} lag @param {number[]} counters */
  #add(at, lag, counters) {
    const last = this.last;
    if (last !== null && at <= last.at) return;
    const flow = counters.map((counter, index) => {
      const before = last?.counters[index];
      // A smaller one was counted by another thread; a long gap would be drawn as a low rate.
      if (last === null || before === undefined || counter < before || at - last.at > 10) return null;
      return (counter - before) / (at - last.at);
    });
    this.last = { at, counters };
    this.raw.push({ at, lag, counters });
    if (this.raw.length > RAW_MAX) this.raw.shift();
    this.points.push({ at, lag, flow });
    while (this.points[0] !== undefined && this.points[0].at < at - SPAN_SECONDS) this.points.shift();
  }

  show() {
    const columns = (pick, width) =>
      Array.from({ length: width }, (_, index) => this.points.map((point) => pick(point)[index] ?? null));
    const at = this.points.map((point) => point.at);
    this.lag.show([at, ...columns((point) => point.lag, 2 + this.targets.length)]);
    this.flow.show([at, ...columns((point) => point.flow, 1 + this.targets.length)]);
  }
}

/** One colour; several targets are told apart by its strength. @param {number} index */
function shade(index) {
  return colour(['--accent', '--accent-2', '--accent-3'][index % 3] ?? '--accent');
}
