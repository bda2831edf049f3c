/**
 * The settings that may change while an applier lives, and when a change begins to hold.
 *
 *   what the operator wishes (control, delay)   at once: it concerns what has not started
 *   rules, guards                               when nothing is in flight under the old ones: a transaction that is tried
 *                                               again must not see two sets of rules
 *
 * While new rules wait nothing new may start. The one place that settings are kept in: everybody asks here.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ApplierSettings } from './applier-messages.ts';

interface Swap {
  settings: ApplierSettings;
  readonly taken: (() => void)[];
}

export class LiveSettings {
  #current: ApplierSettings;
  #swap: Swap | null = null;

  constructor(settings: ApplierSettings) {
    this.#current = settings;
  }

  get current(): ApplierSettings {
    return this.#current;
  }

  /** `idle`: nothing is in flight. `taken` is called when they hold, or (control, delay) are certain to. */
  take(settings: ApplierSettings, idle: boolean, taken: () => void): void {
    const swap = this.#swap;
    const sameRules = haveSameRules(swap?.settings ?? this.#current, settings);
    if (swap !== null) {
      // Nothing starts before these hold: a wish in them holds already.
      swap.settings = settings;
      if (!sameRules) swap.taken.push(taken);
    } else if (sameRules || idle) {
      this.#current = settings;
    } else {
      this.#swap = { settings, taken: [taken] };
      return;
    }
    if (sameRules || swap === null) taken();
  }

  /** New rules wait until nothing is in flight. */
  get draining(): boolean {
    return this.#swap !== null;
  }

  /** Nothing is in flight, or never will be again: what waits holds. */
  drained(): void {
    const swap = this.#swap;
    if (swap === null) return;
    this.#swap = null;
    this.#current = swap.settings;
    for (const taken of swap.taken) taken();
  }
}

function haveSameRules(a: ApplierSettings, b: ApplierSettings): boolean {
  return isDeepStrictEqual([a.rules, a.guards], [b.rules, b.guards]);
}
