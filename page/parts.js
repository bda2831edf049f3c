/**
 * Small parts that several cards share.
 */
import { h, setAttribute, valueAt } from './dom.js';
import { text } from './format.js';

/** @param {import('./dom.js').Bindings} bindings @param {string} at */
export function statePill(bindings, at) {
  const pill = bindings.value(`${at}.state`, text, 'span.pill');
  bindings.follow((status) => setAttribute(pill, 'data-state', valueAt(status, `${at}.state`)));
  return pill;
}

/** @param {string} label @param {Node} value */
export function figure(label, value) {
  return h('div.figure', {}, h('dt', {}, label), h('dd', {}, value));
}

/** @param {...Node} each */
export function figures(...each) {
  return h('dl.figures', {}, ...each);
}
