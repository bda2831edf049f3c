/**
 * The page: asks for the status once a second while it is seen, and shows it.
 */
import { isUnlocked, lock, onUnlock, unlock } from './actions.js';
import { ChannelView } from './channel.js';
import { h, setText } from './dom.js';
import { clock, span } from './format.js';

const EVERY_MS = 1000;
const ANSWER_MS = 5000;
const RECENT_MAX = 30;

const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @type {ChannelView[]} */
let views = [];
let shape = '';
let lastAnswerMs = Date.now();
let newest = '';
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

async function poll() {
  clearTimeout(timer);
  try {
    const response = await fetch('/status.json', {
      cache: 'no-store',
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    if (!response.ok) throw new Error(`it answers ${response.status}`);
    const status = await response.json();
    lastAnswerMs = Date.now();
    show(status);
    banner(null);
  } catch {
    banner(
      `Millrace has not answered for ${span((Date.now() - lastAnswerMs) / 1000)}: what is shown here is old.`,
    );
  }
  if (!document.hidden) timer = setTimeout(poll, EVERY_MS);
}

/** @param {string | null} words */
function banner(words) {
  const element = byId('banner');
  element.hidden = words === null;
  setText(element, words ?? '');
  document.body.classList.toggle('old', words !== null);
}

function show(status) {
  const now = JSON.stringify(status.channels.map(({ name, targets }) => [name, targets.map((t) => t.name)]));
  if (now !== shape) {
    shape = now;
    build(status);
  }
  for (const view of views) view.apply(status);
  about(status);
  recent(status);
  const bad = status.channels.filter(({ state }) => state !== 'running').length;
  document.title = bad === 0 ? 'Millrace' : `(${bad}) Millrace`;
  // Which status is shown: for whoever holds the page against it.
  document.documentElement.dataset.now = status.now;
}

function build(status) {
  views = status.channels.map((channel, index) => new ChannelView(channel, index));
  byId('channels').replaceChildren(...views.map(({ element }) => element));
  for (const view of views) void fill(view);
}

/** @param {ChannelView} view */
async function fill(view) {
  const response = await fetch(`/history.json?channel=${encodeURIComponent(view.name)}`).catch(() => null);
  if (response?.ok) view.charts.fill(await response.json());
}

function about({ version, pid, started_at: started, now }) {
  const up = span((Date.parse(now) - Date.parse(started)) / 1000);
  setText(byId('about'), `version ${version}, pid ${pid}, up ${up}`);
}

function recent({ recent: events }) {
  const now = `${events[0]?.at} ${events.length}`;
  if (now === newest) return;
  newest = now;
  byId('recent').replaceChildren(
    ...events.slice(0, RECENT_MAX).map((event, index) => {
      const at = `recent.${index}`;
      const facts = Object.entries(event.facts).filter(([key, value]) => key !== 'thread' && value !== '');
      return h(
        `li.level-${event.level}`,
        {},
        h('time', { datetime: event.at, 'data-path': `${at}.at` }, clock(event.at)),
        h(
          'div',
          {},
          h('p.message', { 'data-path': `${at}.message` }, event.message),
          event.channel === null
            ? null
            : h('span.whose', {}, [event.channel, event.target].filter(Boolean).join(' → ')),
          ...facts.map(([key, value]) => {
            return h(
              'span.fact',
              {},
              `${key} `,
              h('b', { 'data-path': `${at}.facts.${key}` }, String(value)),
            );
          }),
        ),
      );
    }),
  );
}

const unlockButton = byId('unlock');
unlockButton.addEventListener('click', () => (isUnlocked() ? lock() : unlock()));
onUnlock(() => setText(unlockButton, isUnlocked() ? 'Lock controls' : 'Unlock controls'));

document.addEventListener('visibilitychange', () => {
  clearTimeout(timer);
  if (!document.hidden) void poll();
});

void poll();
