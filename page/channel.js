/**
 * One channel, drawn as the stream that it is: source → relay log → targets. Made once; the bindings keep it true.
 */
import { actionButton } from './actions.js';
import { Charts } from './charts.js';
import { Bindings, h, setAttribute, setText, valueAt } from './dom.js';
import { errorBox } from './errors.js';
import { byteRate, bytes, count, rate, span, text } from './format.js';
import { gtidView } from './gtid-view.js';
import { figure, figures, statePill } from './parts.js';
import { targetCard } from './target.js';

export class ChannelView {
  /** @param {any} channel of a status @param {number} index its place there */
  constructor(channel, index) {
    this.name = channel.name;
    this.path = `channels.${index}`;
    this.bindings = new Bindings();
    this.charts = new Charts(channel.targets.map((target) => target.name));
    this.element = this.#make(channel);
  }

  /** @param {any} status */
  apply(status) {
    this.bindings.apply(status);
    const channel = valueAt(status, this.path);
    this.charts.add(channel, Date.parse(status.now) / 1000);
  }

  #make(channel) {
    const { path, bindings } = this;
    const id = `channel-${this.name}`;
    const reason = h('p.reason', { 'aria-live': 'polite' });
    bindings.follow((status) => {
      const { reason: why } = valueAt(status, path);
      setText(reason, why ?? '');
      reason.hidden = why === null;
    });
    setAttribute(reason, 'data-path', `${path}.reason`);
    return h(
      'section.channel',
      { 'aria-labelledby': id },
      h('header', {}, h('h2', { id, 'data-static': true }, this.name), statePill(bindings, path), reason),
      this.#alarms(),
      h(
        'div.stream',
        {},
        this.#source(),
        this.#receiving(),
        this.#relayLog(),
        h(
          'ul.targets',
          { 'aria-label': 'Targets' },
          ...channel.targets.map((target, index) => {
            return h(
              'li',
              {},
              this.#applying(`${path}.targets.${index}`),
              targetCard(bindings, this.name, target.name, `${path}.targets.${index}`),
            );
          }),
        ),
      ),
      this.charts.element,
      this.#gtids(channel),
    );
  }

  #alarms() {
    const { bindings, path } = this;
    const pick = (status) => {
      const alarms = valueAt(status, `${path}.alarms`);
      return alarms.length === 0 ? null : alarms;
    };
    return bindings.part(h('ul.alarms', { role: 'alert' }), pick, (alarms) =>
      alarms.map((alarm, index) => h('li', { 'data-path': `${path}.alarms.${index}.text` }, alarm.text)),
    );
  }

  #source() {
    const { bindings, path } = this;
    const at = `${path}.source`;
    const place = h('p.place', { 'data-path': `${at}.head` });
    bindings.follow((status) => {
      const { head, head_unknown: why } = valueAt(status, at);
      const known = head !== null && head.file !== null;
      setText(
        place,
        known ? `${head.file}:${head.position}` : why === null ? '' : `position unknown: ${why}`,
      );
      place.classList.toggle('unknown', !known);
    });
    return h(
      'article.card.source',
      { 'aria-label': 'Source' },
      h('h3', {}, 'Source'),
      h(
        'p.host',
        {},
        bindings.value(`${at}.host`, text, 'span'),
        ':',
        bindings.value(`${at}.port`, text, 'span'),
      ),
      h(
        'p.muted',
        {},
        bindings.value(`${at}.server_version`, (version) => version ?? 'version unknown'),
      ),
      place,
      figures(figure('last heard', bindings.value(`${path}.reader.contact_seconds`, ago))),
    );
  }

  /** From the source into the relay log. */
  #receiving() {
    const { bindings, path } = this;
    const at = `${path}.reader`;
    const reason = bindings.part(
      h('p.reason'),
      (status) => valueAt(status, `${at}.reason`),
      (why) => [h('span', { 'data-path': `${at}.reason` }, why)],
    );
    const pause = actionButton({
      label: 'Pause',
      title: `Pause the reader of ${this.name}`,
      what: 'It ends the connection to the source. What is received stays, and is applied.',
      verb: 'pause',
      fields: () => ({ channel: this.name, part: 'reader' }),
    });
    const resume = actionButton({
      label: 'Resume',
      title: `Resume the reader of ${this.name}`,
      what: 'It connects to the source again and goes on where it was.',
      verb: 'resume',
      fields: () => ({ channel: this.name, part: 'reader' }),
    });
    bindings.follow((status) => {
      const paused = valueAt(status, `${at}.state`) === 'paused';
      pause.hidden = paused;
      resume.hidden = !paused;
    });
    return connector(
      bindings,
      'Receiving',
      `${at}.lag.received`,
      (status) => valueAt(status, `${at}.state`) === 'streaming',
      [
        h('p.line', {}, statePill(bindings, at), pause, resume),
        h(
          'p.muted',
          {},
          bindings.value(`${at}.transactions_per_second`, rate),
          ' · ',
          bindings.value(`${at}.bytes_per_second`, byteRate),
        ),
        reason,
        errorBox(bindings, at),
      ],
    );
  }

  #relayLog() {
    const { bindings, path } = this;
    const place = h('p.place', { 'data-path': `${path}.relay_log` });
    bindings.follow((status) => {
      const { file, position } = valueAt(status, `${path}.relay_log`);
      setText(place, file === null ? 'empty' : `${file}:${position}`);
    });
    return h(
      'article.card.relay',
      { 'aria-label': 'Relay log' },
      h('h3', {}, 'Relay log'),
      place,
      h(
        'p.lag',
        {},
        bindings.value(`${path}.reader.lag.durable.seconds`, span, 'strong.value'),
        h('span.behind', {}, ' until on disk'),
      ),
      h(
        'p.muted',
        {},
        bindings.value(`${path}.reader.lag.durable.transactions`, count),
        ' transactions · ',
        bindings.value(`${path}.reader.lag.durable.bytes`, bytes),
      ),
      figures(
        figure('size', bindings.value(`${path}.relay_log.bytes`, bytes)),
        figure('received', bindings.value(`${path}.reader.transactions_received`, count)),
        figure('in bytes', bindings.value(`${path}.reader.bytes_received`, bytes)),
      ),
    );
  }

  /** From the relay log into a target. @param {string} at */
  #applying(at) {
    const { bindings } = this;
    return connector(
      bindings,
      'Applying',
      `${at}.lag.applied`,
      (status) => valueAt(status, `${at}.state`) === 'running',
      [
        h(
          'p.muted',
          {},
          bindings.value(`${at}.transactions_per_second`, rate),
          ' · ',
          bindings.value(`${at}.rows_per_second`, (value) => `${rate(value).replace('/s', '')} rows/s`),
        ),
      ],
    );
  }

  #gtids(channel) {
    const { path } = this;
    const places = [
      { label: 'source', path: `${path}.source.head.gtid_set` },
      { label: 'received', path: `${path}.reader.retrieved_gtid_set` },
      ...channel.targets.map((target, index) => ({
        label: channel.targets.length === 1 ? 'applied' : target.name,
        path: `${path}.targets.${index}.executed_gtid_set`,
      })),
    ];
    const rows = this.bindings.part(
      h('div.sids'),
      (status) => places.map((place) => valueAt(status, place.path) ?? null),
      (texts) => gtidView(places, texts),
    );
    const section = h(
      'section.gtids',
      { 'aria-label': 'Transactions by GTID' },
      h('h4', {}, 'GTID sets'),
      rows,
    );
    this.bindings.follow(() => {
      section.hidden = rows.childElementCount === 0;
    });
    return section;
  }
}

/** @param {number | null} seconds */
function ago(seconds) {
  return seconds === null ? 'never' : `${span(seconds)} ago`;
}

/**
 * A stretch of the stream, with what is behind on it.
 * @param {Bindings} bindings @param {string} title @param {string} lag
 * @param {(status: any) => boolean} flows @param {Node[]} more
 */
function connector(bindings, title, lag, flows, more) {
  const element = h(
    'div.connector',
    { role: 'group', 'aria-label': title },
    h('span.water', { 'aria-hidden': true }),
    h('h4', {}, title),
    h('p.lag', {}, bindings.value(`${lag}.seconds`, span, 'strong.value'), h('span.behind', {}, ' behind')),
    h(
      'p.muted',
      {},
      bindings.value(`${lag}.transactions`, count),
      ' transactions · ',
      bindings.value(`${lag}.bytes`, bytes),
    ),
    ...more,
  );
  bindings.follow((status) => element.classList.toggle('flows', flows(status)));
  return element;
}
