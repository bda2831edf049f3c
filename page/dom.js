/**
 * Elements, and what ties them to the status: made once, then only their text and attributes change, so that focus and
 * selection stay where they are. Text is always text: nothing of a status is ever read as HTML.
 */

/**
 * h('p.reason', { role: 'status' }, 'text', child)
 * @param {string} name tag and classes
 * @param {Record<string, string | number | boolean | null | undefined | ((event: Event) => void)>} [attributes]
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElement}
 */
export function h(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split('.');
  const element = document.createElement(tag || 'div');
  if (classes.length > 0) element.className = classes.join(' ');
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(key, value);
    else setAttribute(element, key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** @param {Element} element @param {string} key @param {string | number | boolean | null | undefined} value */
export function setAttribute(element, key, value) {
  if (value === false || value === null || value === undefined) element.removeAttribute(key);
  else if (element.getAttribute(key) !== String(value === true ? '' : value)) {
    element.setAttribute(key, String(value === true ? '' : value));
  }
}

/** @param {Element} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {unknown} root @param {string} path `channels.0.reader.state` */
export function valueAt(root, path) {
  let value = /** @type {any} */ (root);
  for (const key of path.split('.')) value = value?.[key];
  return value;
}

/** What follows the status: each is called with every new one. */
export class Bindings {
  constructor() {
    /** @type {((status: any) => void)[]} */
    this.updates = [];
  }

  /**
   * An element that shows one value. `data-path` says which: what is on the page can be held against the status.
   * @param {string} path
   * @param {(value: any) => string} format
   * @param {string} [name]
   */
  value(path, format, name = 'span.value') {
    const element = h(name, { 'data-path': path });
    this.updates.push((status) => {
      const value = valueAt(status, path);
      setText(element, format(value));
      element.classList.toggle('unknown', value === null || value === undefined);
    });
    return element;
  }

  /** @param {(status: any) => void} update */
  follow(update) {
    this.updates.push(update);
  }

  /**
   * A part that is there only while `pick` finds something, and is made anew only when that has changed.
   * @template T
   * @param {HTMLElement} element
   * @param {(status: any) => T | null} pick
   * @param {(found: T) => (Node | string)[]} make
   */
  part(element, pick, make) {
    let before = '';
    element.hidden = true;
    this.updates.push((status) => {
      const found = pick(status);
      const now = found === null ? '' : JSON.stringify(found);
      if (now === before) return;
      before = now;
      element.hidden = found === null;
      element.replaceChildren(...(found === null ? [] : make(found)));
    });
    return element;
  }

  /** @param {any} status */
  apply(status) {
    for (const update of this.updates) update(status);
  }
}
