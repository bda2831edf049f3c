import { describe, expect, test } from 'vitest';
import type { ApplierSettings } from '../../../src/applier/applier-messages.ts';
import { LiveSettings } from '../../../src/applier/live-settings.ts';
import { NO_CONTROL } from '../../../src/applier/target-control.ts';
import { NO_GUARDS } from '../../../src/rules/guard-rules.ts';
import { ALL_IS_REPLICATED } from '../../../src/rules/target-rules.ts';

const FIRST: ApplierSettings = {
  delayMs: 0,
  rules: ALL_IS_REPLICATED,
  guards: NO_GUARDS,
  control: NO_CONTROL,
};
const PAUSED = { ...FIRST, control: { ...NO_CONTROL, paused: true } };
const OTHER_RULES = { ...FIRST, rules: { ...ALL_IS_REPLICATED, replicateSystem: false } };

function live() {
  const settings = new LiveSettings(FIRST);
  const taken: string[] = [];
  const take = (name: string, next: ApplierSettings, idle: boolean): void => {
    settings.take(structuredClone(next), idle, () => taken.push(name));
  };
  return { settings, taken, take };
}

describe('settings that change while an applier lives', () => {
  test('what the operator wishes holds at once, however much is in flight', () => {
    const { settings, taken, take } = live();
    take('pause', PAUSED, false);
    expect(settings.current.control.paused).toBe(true);
    expect(settings.draining).toBe(false);
    expect(taken).toEqual(['pause']);
  });

  test('rules wait until nothing is in flight, and are said to be taken only then', () => {
    const { settings, taken, take } = live();
    take('rules', OTHER_RULES, false);
    expect(settings.draining).toBe(true);
    expect(settings.current.rules.replicateSystem).toBe(true);
    expect(taken).toEqual([]);
    settings.drained();
    expect(settings.current.rules.replicateSystem).toBe(false);
    expect(settings.draining).toBe(false);
    expect(taken).toEqual(['rules']);
    settings.drained();
    expect(taken).toEqual(['rules']);
  });

  test('rules hold at once when nothing is in flight', () => {
    const { settings, taken, take } = live();
    take('rules', OTHER_RULES, true);
    expect(settings.current.rules.replicateSystem).toBe(false);
    expect(taken).toEqual(['rules']);
  });

  test('a wish that comes while rules wait comes with them, and is answered at once: nothing starts in between', () => {
    const { settings, taken, take } = live();
    take('rules', OTHER_RULES, false);
    take('pause', { ...OTHER_RULES, control: PAUSED.control }, false);
    expect(taken).toEqual(['pause']);
    settings.drained();
    expect(settings.current).toMatchObject({ rules: { replicateSystem: false }, control: { paused: true } });
    expect(taken).toEqual(['pause', 'rules']);
  });

  test('rules that are taken back while they wait leave the old ones, and both are answered', () => {
    const { settings, taken, take } = live();
    take('rules', OTHER_RULES, false);
    take('back', FIRST, false);
    settings.drained();
    expect(settings.current.rules.replicateSystem).toBe(true);
    expect(taken).toEqual(['rules', 'back']);
  });
});
