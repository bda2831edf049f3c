/**
 * Holds what a page shows against the status that it was made from: every text with a digit in it must say which value it
 * shows, and must say what that value is.
 */
import type { Page } from 'playwright-core';
import { GtidSet } from '../../src/binlog/gtid-set.ts';
import type { Json } from './http-run.ts';

interface Shown {
  readonly path: string;
  readonly text: string;
}

interface Seen {
  readonly now: string;
  readonly shown: readonly Shown[];
  readonly parts: readonly Shown[];
  readonly holes: readonly Shown[];
  /** Texts with digits that say of no value that they show it. */
  readonly stray: readonly string[];
}

/** Runs in the browser, whose names this program's types do not know: all that is visible at one moment. */
const EYES = `(() => {
  const visible = (element) => element.getClientRects().length > 0;
  const all = (attribute) =>
    [...document.querySelectorAll('[' + attribute + ']')].filter(visible).map((element) => ({
      path: element.getAttribute(attribute),
      text: element.textContent,
    }));
  const stray = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const known = '[data-path],[data-part-of],[data-hole-of],[data-static],#about,#banner,script,noscript';
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!/[0-9]/.test(node.textContent) || !visible(parent)) continue;
    if (parent.closest(known) === null) stray.push(node.textContent);
  }
  return {
    now: document.documentElement.dataset.now,
    shown: all('data-path'),
    parts: all('data-part-of'),
    holes: all('data-hole-of'),
    stray,
  };
})()`;

function see(page: Page): Promise<Seen> {
  return page.evaluate<Seen>(EYES);
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  s: 1,
  min: 60,
  h: 3600,
  d: 86_400,
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

export interface PageVerdict {
  readonly compared: number;
  readonly wrong: readonly string[];
}

/** `statuses`: every answer that the page got, by its `now`. */
export async function comparePage(page: Page, statuses: ReadonlyMap<string, Json>): Promise<PageVerdict> {
  const { now, shown, parts, holes, stray } = await see(page);
  const status = statuses.get(now);
  if (status === undefined) throw new Error(`the page shows a status of ${now}, which it never got`);
  const wrong = stray.map((text) => `says of no value that it shows it: ${text}`);
  for (const { path, text } of shown) {
    const value = valueAt(status, path);
    if (!says(text, value, path)) wrong.push(`${path} is ${JSON.stringify(value)}, and is shown as ${text}`);
  }
  for (const { path, text } of parts) {
    const set = String(valueAt(status, path)).replace(/\s/g, '');
    if (text !== 'nothing' && !set.includes(text.replace(/^…:/, '')))
      wrong.push(`${path} does not hold ${text}`);
  }
  for (const { path, text } of holes) {
    if (!isHole(String(valueAt(status, path)), text)) wrong.push(`${path} has no hole ${text}`);
  }
  return { compared: shown.length + parts.length + holes.length, wrong };
}

function valueAt(status: Json, path: string): Json {
  return path.split('.').reduce((value, key) => value?.[key], status);
}

function says(text: string, value: Json, path: string): boolean {
  if (path.endsWith('.relay_log'))
    return text === (value.file === null ? 'empty' : `${value.file}:${value.position}`);
  if (path.endsWith('.head'))
    return value?.file == null
      ? text.startsWith('position unknown')
      : text === `${value.file}:${value.position}`;
  if (path.endsWith('.contact_seconds') && value === null) return text === 'never';
  if (value === null || value === undefined) return /^(unknown|version unknown|unknown rows\/s|)$/.test(text);
  if (typeof value === 'number') return saysNumber(text, value);
  if (path.endsWith('.eta.text')) return text === (value === 'caught up' ? 'yes' : value);
  if (/^recent\.\d+\.at$/.test(path)) return text.endsWith(new Date(value).toTimeString().slice(0, 8));
  return text === String(value);
}

/** The number that a person reads there is the value, as exactly as it is shown. */
function saysNumber(text: string, value: number): boolean {
  const [, less, digits = '', fraction = '', unit = ''] =
    /^(<)?([\d,]+)(\.\d+)? ?([A-Za-z]*)(?:\/s| rows\/s| ago)*$/.exec(text.replace(/ rows\/s$/, '/s')) ?? [];
  const scale = UNITS[unit];
  if (digits === '' || scale === undefined) return false;
  const read = Number(digits.replaceAll(',', '') + fraction) * scale;
  if (less !== undefined) return value > 0 && value < read;
  const precision = (0.5 * scale) / 10 ** Math.max(0, fraction.length - 1);
  // `0.4` may be shown of 0.36 … 0.44; a whole number without a unit of its own is exact. 19200 B are 18.75 KiB, and 18.8 * 1024 is more than 19251.2.
  return Math.abs(read - value) <= Math.max(precision, 0.05) + read * Number.EPSILON;
}

function isHole(set: string, text: string): boolean {
  const [first = 0n, last = first] = text.split('-').map(BigInt);
  const sids = new Set([...GtidSet.parse(set).intervals()].map(({ sid }) => sid));
  const parsed = GtidSet.parse(set);
  return [...sids].some((sid) => {
    const inside = !parsed.has(sid, first) && !parsed.has(sid, last);
    return inside && parsed.has(sid, first - 1n) && parsed.has(sid, last + 1n);
  });
}
