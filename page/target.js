/**
 * One target: how far behind it is, what it waits for, what holds it, and what an operator can do about it.
 */
import { actionButton } from './actions.js';
import { h, setAttribute, setText, valueAt } from './dom.js';
import { errorBox } from './errors.js';
import { bytes, count, span, text } from './format.js';
import { figure, figures, statePill } from './parts.js';

/**
 * @param {import('./dom.js').Bindings} bindings
 * @param {string} channel @param {string} name @param {string} at its place in the status
 */
export function targetCard(bindings, channel, name, at) {
  const where = h(
    'p.host',
    {},
    bindings.value(`${at}.host`, text, 'span'),
    ':',
    bindings.value(`${at}.port`, text, 'span'),
  );
  const reason = bindings.part(
    h('p.reason'),
    (status) => {
      // Of what has stopped it, the box below tells more.
      const { reason: why, state, last_error_detail: detail } = valueAt(status, at);
      return state === 'stopped' && detail !== null ? null : why;
    },
    (why) => [h('span', { 'data-path': `${at}.reason` }, why)],
  );
  return h(
    'article.card.target',
    { 'aria-label': `Target ${name}` },
    h('header', {}, h('h3', { 'data-static': true }, name), statePill(bindings, at)),
    where,
    h(
      'p.lag',
      {},
      bindings.value(`${at}.lag_seconds`, span, 'strong.value'),
      h('span.behind', {}, ' behind the source'),
    ),
    figures(
      figure('at most', bindings.value(`${at}.lag.at_most_seconds`, span)),
      figure('transactions', bindings.value(`${at}.lag.total.transactions`, count)),
      figure('bytes', bindings.value(`${at}.lag.total.bytes`, bytes)),
      figure('caught up', bindings.value(`${at}.eta.text`, eta)),
    ),
    h(
      'p.muted',
      {},
      bindings.value(`${at}.transactions_applied`, count),
      ' applied, ',
      bindings.value(`${at}.rows_applied`, count),
      ' rows · ',
      bindings.value(`${at}.busy.length`, count),
      ' of ',
      bindings.value(`${at}.workers`, count),
      ' workers busy',
    ),
    reason,
    delayWindow(bindings, at),
    holdBox(bindings, channel, name, at),
    stuckBox(bindings, at),
    errorBox(bindings, at),
    buttons(bindings, channel, name, at),
  );
}

/** @param {string} value */
function eta(value) {
  return value === 'caught up' ? 'yes' : value;
}

/** What waits in front of the target, and until when. */
function delayWindow(bindings, at) {
  const pick = (status) => {
    const { delay_seconds: delay, waiting, until } = valueAt(status, at);
    return delay > 0 || waiting !== null || until !== null ? { delay, waiting, until } : null;
  };
  return bindings.part(h('div.window'), pick, ({ delay, waiting, until }) => {
    const parts = [];
    if (delay > 0) {
      parts.push(
        h(
          'p',
          {},
          'Kept ',
          h('b', { 'data-path': `${at}.delay_seconds` }, span(delay)),
          ' behind on purpose.',
        ),
      );
    }
    if (waiting !== null) parts.push(...waitingView(at, delay, waiting));
    if (until !== null) {
      const stop = ['before', 'after', 'time'].find((key) => until[key] !== null) ?? 'time';
      const words = until.reached ? 'Stopped' : 'Goes on until';
      const value = h('b', { 'data-path': `${at}.until.${stop}` }, until[stop]);
      parts.push(h('p', {}, `${words} ${stop === 'time' ? 'what was committed at' : stop} `, value));
    }
    return parts;
  });
}

function waitingView(at, delay, waiting) {
  const { transactions, bytes: size, next_id: next, next_due_seconds: due } = waiting;
  const base = `${at}.waiting`;
  const parts = [
    h(
      'p',
      {},
      h('b', { 'data-path': `${base}.transactions` }, count(transactions)),
      ' transactions wait, ',
      h('b', { 'data-path': `${base}.bytes` }, bytes(size)),
      '; next ',
      h('b.id', { 'data-path': `${base}.next_id` }, next),
      due === null ? '' : ', due in ',
      due === null ? null : h('b', { 'data-path': `${base}.next_due_seconds` }, span(due)),
    ),
  ];
  if (due !== null && delay > 0) {
    const progress = h('progress', {
      max: delay,
      value: Math.max(0, delay - due),
      'aria-label': 'Delay of the next transaction',
    });
    parts.push(progress);
  }
  return parts;
}

/** A transaction that a guard holds, with the two ways on. */
function holdBox(bindings, channel, name, at) {
  const pick = (status) => valueAt(status, `${at}.hold`) ?? null;
  return bindings.part(h('div.hold', { role: 'alert' }), pick, (hold) => {
    const fields = () => ({ channel, target: name, id: hold.id });
    return [
      h('p', {}, 'Held by the guard ', h('b', { 'data-path': `${at}.hold.guard` }, hold.guard)),
      h('p.what', { 'data-path': `${at}.hold.what` }, hold.what),
      h('p.id', { 'data-path': `${at}.hold.id` }, hold.id),
      h(
        'div.buttons',
        {},
        actionButton({
          label: 'Approve',
          title: `Approve ${hold.id} on ${name}`,
          what: `${hold.what}: it is applied like any other.`,
          verb: 'approve',
          fields,
          kind: 'plain',
        }),
        actionButton({
          label: 'Skip',
          title: `Skip ${hold.id} on ${name}`,
          what: `${hold.what}: nothing of it is applied. It is committed as an empty transaction, so that the GTID set has no hole; source and target differ from then on.`,
          verb: 'skip',
          fields,
          reason: true,
        }),
      ),
    ];
  });
}

/** The transaction that the others wait for, and why it does not get on. */
function stuckBox(bindings, at) {
  const told = new Set(['paused', 'until', 'guard', 'delay']);
  const pick = (status) => {
    const stuck = valueAt(status, `${at}.stuck`);
    return stuck === null || told.has(stuck.why) ? null : stuck;
  };
  return bindings.part(h('div.stuck'), pick, (stuck) => {
    const parts = [
      h('p', { 'data-path': `${at}.stuck.text` }, stuck.text),
      stuck.hint === null ? null : h('p.hint', { 'data-path': `${at}.stuck.hint` }, stuck.hint),
      stuck.transaction === null
        ? null
        : h('p.id', { 'data-path': `${at}.stuck.transaction` }, stuck.transaction),
    ];
    return parts.filter((part) => part !== null);
  });
}

function buttons(bindings, channel, name, at) {
  const fields = () => ({ channel, part: name });
  const pause = actionButton({
    label: 'Pause',
    title: `Pause ${name}`,
    what: 'What is in flight is finished; nothing more is applied until it is resumed. Receiving goes on.',
    verb: 'pause',
    fields,
  });
  const resume = actionButton({
    label: 'Resume',
    title: `Resume ${name}`,
    what: 'It goes on where it stopped.',
    verb: 'resume',
    fields,
    kind: 'plain',
  });
  const skip = h('span.skip');
  bindings.part(
    skip,
    (status) => {
      const { state, last_error_detail: detail } = valueAt(status, at);
      const id = state === 'stopped' ? (detail?.facts.transaction ?? null) : null;
      return id === null ? null : { id };
    },
    ({ id }) => [
      actionButton({
        label: 'Skip the transaction',
        title: `Skip ${id} on ${name}`,
        what: `Nothing of ${id} is applied: it is committed as an empty transaction. Source and target differ from then on.`,
        verb: 'skip',
        fields: () => ({ channel, target: name, id }),
        reason: true,
      }),
    ],
  );
  const row = h('div.buttons', {}, pause, resume, skip);
  bindings.follow((status) => {
    const { state } = valueAt(status, at);
    pause.hidden = state === 'paused' || state === 'stopped';
    resume.hidden = state !== 'paused' && state !== 'stopped';
    setAttribute(row, 'data-state', state);
    setText(resume, 'Resume');
  });
  return row;
}
