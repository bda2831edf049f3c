import { describe, expect, test } from 'vitest';
import type { ExecutedIds } from '../../../src/applier/applier-messages.ts';
import {
  type ControlDocument,
  cameTooLate,
  channelWishes,
  DamagedDocument,
  documentText,
  parseDocument,
  pending,
  type SkippedId,
  targetControl,
  targetWishes,
  withChannel,
  withExecuted,
  withTarget,
} from '../../../src/channel/control-document.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const id = (gno: number): string => `${UUID}:${gno}`;

const FULL: ControlDocument = [
  {
    name: 'orders',
    readerPaused: true,
    targets: [
      {
        name: 'standby',
        paused: true,
        delayMs: 1_800_000,
        until: { is: 'before', id: id(9) },
        approved: [{ id: id(3), executed: true }],
        skipped: [{ id: id(7), executed: false, reason: 'DROP by mistake, “ü”', certain: true }],
      },
      {
        name: 'second',
        paused: false,
        delayMs: null,
        until: { is: 'time', ms: 5 },
        approved: [],
        skipped: [],
      },
    ],
  },
  { name: 'constructor', readerPaused: false, targets: [] },
];

describe('the control document', () => {
  test('nothing said is nothing wanted', () => {
    expect(channelWishes([], 'orders').readerPaused).toBe(false);
    expect(targetControl(targetWishes([], 'orders', 'standby'))).toEqual({
      paused: false,
      delayMs: null,
      until: null,
      approved: [],
      skipped: [],
    });
  });

  test('is read back as it was written', () => {
    expect(parseDocument(documentText(FULL))).toEqual(FULL);
    expect(parseDocument(documentText([]))).toEqual([]);
  });

  test('a change concerns one target, and nothing said about others is lost', () => {
    const next = withTarget(FULL, 'orders', 'third', { paused: true });
    expect(targetWishes(next, 'orders', 'third').paused).toBe(true);
    expect(targetWishes(next, 'orders', 'standby')).toEqual(FULL[0]!.targets[0]);
    expect(channelWishes(next, 'orders').readerPaused).toBe(true);
    const other = withChannel(next, 'constructor', { readerPaused: true });
    expect(targetWishes(other, 'orders', 'third').paused).toBe(true);
    expect(channelWishes(FULL, 'constructor').readerPaused).toBe(false);
  });

  const told = (more: Partial<ExecutedIds>): ExecutedIds => ({
    committed: [],
    found: [],
    missing: [],
    ...more,
  });

  test('an executed transaction is marked once, and goes on to be skipped on a target that goes back', () => {
    const next = withExecuted(FULL, 'orders', 'standby', told({ committed: [id(7)] }));
    expect(pending(targetWishes(next, 'orders', 'standby').skipped)).toEqual([]);
    expect(targetControl(targetWishes(next, 'orders', 'standby')).skipped).toHaveLength(1);
    expect(withExecuted(next, 'orders', 'standby', told({ found: [id(7), id(99)] }))).toBe(next);
    expect(withExecuted(next, 'orders', 'second', told({ committed: [id(7)] }))).toBe(next);
  });

  test('a skip of which nobody could tell came too late when it is found executed, and in time when it is missing', () => {
    const skipped = [{ id: id(7), executed: false, reason: 'r', certain: false }];
    const unsure = withTarget([], 'c', 't', { skipped });
    const after = (...reports: ExecutedIds[]): SkippedId =>
      targetWishes(
        reports.reduce((document, ids) => withExecuted(document, 'c', 't', ids), unsure),
        'c',
        't',
      ).skipped[0]!;
    expect(cameTooLate(after(told({ found: [id(7)] })))).toBe(true);
    expect(cameTooLate(after(told({ missing: [id(7)] })))).toBe(false);
    expect(cameTooLate(after(told({ missing: [id(7)] }), told({ found: [id(7)] })))).toBe(false);
    expect(cameTooLate(after(told({ committed: [id(7)] })))).toBe(false);
  });

  test('of what is executed the newest thousand are kept, of what is not all', () => {
    const skipped = Array.from({ length: 3_000 }, (_, index) => ({
      id: id(index + 1),
      executed: index % 2 === 0,
      reason: 'r',
      certain: true,
    }));
    const kept = targetWishes(withTarget([], 'c', 't', { skipped }), 'c', 't').skipped;
    expect(pending(kept)).toHaveLength(1_500);
    expect(kept.filter(({ executed }) => executed).map((each) => each.id)).toEqual(
      skipped
        .filter(({ executed }) => executed)
        .map((each) => each.id)
        .slice(-1_000),
    );
  });
});

describe('a document that is damaged', () => {
  const text = documentText(FULL);
  const refused = (damaged: string): string => {
    try {
      parseDocument(damaged);
    } catch (error) {
      if (error instanceof DamagedDocument) return error.message;
      throw error;
    }
    return 'accepted';
  };

  test('is found out wherever a character is changed, added or cut off', () => {
    for (let at = 0; at < text.length - 1; at++) {
      const other = text[at] === '1' ? '2' : '1';
      expect(refused(text.slice(0, at) + other + text.slice(at + 1))).not.toBe('accepted');
      expect(refused(text.slice(0, at))).not.toBe('accepted');
    }
  });

  test.each([
    ['', 'it is not JSON'],
    ['null', 'a part of it has not the form that it must have'],
    ['[]', 'a part of it has not the form that it must have'],
    ['{}', 'it is no such file'],
    ['{"millrace_control":2,"checksum":"0","channels":[]}', 'its format 2 is of another version of Millrace'],
    ['{"millrace_control":1,"checksum":"0","channels":[]}', 'its checksum does not match'],
    ['{"millrace_control":1,"checksum":"0","channels":{}}', 'a list in it is missing, or too long'],
  ])('%s: %s', (damaged, why) => {
    expect(refused(damaged)).toBe(why);
  });

  test.each([
    [
      'an id that names nothing',
      { ...FULL[0]!.targets[0]!, skipped: [{ id: 'x', executed: false, reason: 'r', certain: true }] },
    ],
    [
      'an id in another spelling',
      { ...FULL[0]!.targets[0]!, approved: [{ id: id(1).toUpperCase(), executed: false }] },
    ],
    [
      'no reason',
      { ...FULL[0]!.targets[0]!, skipped: [{ id: id(1), executed: false, reason: '', certain: true }] },
    ],
    ['a delay of a thousand years', { ...FULL[0]!.targets[0]!, delayMs: 1e15 }],
    ['half a delay', { ...FULL[0]!.targets[0]!, delayMs: 0.5 }],
    ['an unknown until', { ...FULL[0]!.targets[0]!, until: { is: 'never' } }],
    ['a paused that is no answer', { ...FULL[0]!.targets[0]!, paused: 'yes' }],
  ])('%s is refused although the checksum matches', (_what, target) => {
    const wrong = [{ name: 'orders', readerPaused: false, targets: [target] }] as unknown as ControlDocument;
    expect(refused(documentText(wrong))).not.toBe('accepted');
  });
});
