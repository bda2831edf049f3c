/**
 * The last error with its remedy, and what its code means: the entry of the error reference that comes with this version.
 */
import { ask } from './actions.js';
import { h, valueAt } from './dom.js';

/** @type {Promise<string | null> | null} */
let reference = null;

function readReference() {
  reference ??= fetch('/errors.md')
    .then((response) => (response.ok ? response.text() : null))
    .catch(() => null);
  return reference;
}

/** From the code's heading to the next one. @param {string} markdown @param {string} code */
export function entryOf(markdown, code) {
  const lines = markdown.split('\n');
  const start = lines.findIndex((line) => /^#{1,6} /.test(line) && line.includes(code));
  if (start === -1) return null;
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => /^#{1,6} /.test(line));
  return (end === -1 ? rest : rest.slice(0, end)).join('\n').trim();
}

/** @param {string} code */
async function explain(code) {
  const markdown = await readReference();
  const entry = markdown === null ? null : entryOf(markdown, code);
  const words = entry ?? 'This version has no entry for it.';
  ask({
    title: code,
    body: words.split(/\n{2,}/).map((paragraph) => h('p.entry', {}, paragraph.replace(/[`*]/g, ''))),
    primary: null,
  });
}

/** @param {import('./dom.js').Bindings} bindings @param {string} at of a reader or a target */
export function errorBox(bindings, at) {
  const pick = (status) => {
    const { last_error_code: code, last_error_detail: detail, state } = valueAt(status, at);
    // While it runs, an error is history, and stands there.
    return detail === null || state === 'streaming' || state === 'running' ? null : { code, ...detail };
  };
  return bindings.part(h('div.error'), pick, ({ code, message, hint, facts }) => {
    const detail = `${at}.last_error_detail`;
    const parts = [
      h('p', { 'data-path': `${detail}.message` }, message),
      hint === null ? null : h('p.hint', { 'data-path': `${detail}.hint` }, hint),
      h(
        'p.facts',
        {},
        ...Object.entries(facts).map(([key, value]) => {
          return h(
            'span.fact',
            {},
            `${key} `,
            h('b', { 'data-path': `${detail}.facts.${key}` }, String(value)),
          );
        }),
      ),
      h('button.link', { type: 'button', click: () => void explain(code) }, `What ${code} means`),
    ];
    return parts.filter((part) => part !== null);
  });
}
