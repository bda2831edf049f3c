/**
 * What an operator can do from the page: with the token, which stays in this tab's memory and nowhere else.
 */
import { h } from './dom.js';

/** @type {string | null} */
let token = null;
/** @type {Set<() => void>} */
const listeners = new Set();

export function isUnlocked() {
  return token !== null;
}

/** @param {() => void} listener */
export function onUnlock(listener) {
  listeners.add(listener);
}

function dialogElement() {
  return /** @type {HTMLDialogElement} */ (document.getElementById('dialog'));
}

/**
 * Shows a dialog; `act` runs on the primary button and says what is wrong, or null: done.
 * @param {{ title: string, body: (Node | string)[], primary: string | null, act?: () => Promise<string | null> }} wish
 */
export function ask({ title, body, primary, act }) {
  const dialog = dialogElement();
  const trouble = h('p.trouble', { role: 'alert', hidden: true });
  const cancel = h(
    'button.quiet',
    { type: 'button', click: () => dialog.close() },
    primary === null ? 'Close' : 'Cancel',
  );
  const go =
    primary === null ? null : /** @type {HTMLButtonElement} */ (h('button', { type: 'submit' }, primary));
  const form = h(
    'form',
    {
      submit: async (event) => {
        event.preventDefault();
        if (go === null || act === undefined) return;
        go.disabled = true;
        const wrong = await act();
        go.disabled = false;
        trouble.hidden = wrong === null;
        trouble.textContent = wrong ?? '';
        if (wrong === null) dialog.close();
      },
    },
    h('h2', { id: 'dialog-title' }, title),
    ...body,
    trouble,
    h('div.buttons', {}, go, cancel),
  );
  dialog.replaceChildren(form);
  if (!dialog.open) dialog.showModal();
}

/** Asks for the token; then goes on with `next`. @param {() => void} [next] */
export function unlock(next) {
  const input = /** @type {HTMLInputElement} */ (
    h('input', {
      type: 'password',
      autocomplete: 'off',
      required: true,
      'aria-label': 'Token',
      spellcheck: 'false',
    })
  );
  ask({
    title: 'Unlock controls',
    body: [
      h(
        'p',
        {},
        'The token of http.token or http.token_file. It is kept until this tab is closed or loaded anew.',
      ),
      h('label', {}, 'Token', input),
    ],
    primary: 'Unlock',
    act: async () => {
      token = input.value;
      input.value = '';
      for (const listener of listeners) listener();
      if (next !== undefined) setTimeout(next);
      return null;
    },
  });
}

export function lock() {
  token = null;
  for (const listener of listeners) listener();
}

/**
 * @param {string} verb @param {Record<string, unknown>} fields
 * @returns {Promise<string | null>} what is wrong; null: done
 */
async function send(verb, fields) {
  try {
    const response = await fetch(`/api/${verb}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify(fields),
      signal: AbortSignal.timeout(20_000),
    });
    if (response.ok) return null;
    const text = await response.text();
    if (response.status === 401 || text.startsWith('the token')) lock();
    return text.startsWith('{') ? JSON.parse(text).error.line : text.trim();
  } catch (error) {
    return `Millrace does not answer: ${error instanceof Error ? error.message : error}`;
  }
}

/**
 * A button that asks, and then does it.
 * @param {{ label: string, title: string, what: string, verb: string, fields: () => Record<string, unknown>, reason?: boolean, kind?: string }} wish
 */
export function actionButton({ label, title, what, verb, fields, reason = false, kind = 'quiet' }) {
  const open = () => {
    const why = /** @type {HTMLInputElement} */ (
      h('input', { required: true, maxlength: 400, 'aria-label': 'Reason', placeholder: 'for the audit log' })
    );
    ask({
      title,
      body: [h('p', {}, what), reason ? h('label', {}, 'Reason', why) : null].filter((each) => each !== null),
      primary: label,
      act: () => send(verb, { ...fields(), ...(reason ? { reason: why.value } : {}) }),
    });
  };
  return h(
    `button.${kind}`,
    { type: 'button', 'aria-label': title, click: () => (isUnlocked() ? open() : unlock(open)) },
    label,
  );
}
