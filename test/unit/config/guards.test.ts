import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load-config.ts';
import { config, ENV, folder, problems, write } from './config-files.ts';

const target = (lines: string): string => config({ target: lines.replaceAll('\n', '\n        ') });

describe('guards', () => {
  test('are taken with what they look for, what they do, and where they tell it', () => {
    write(
      target(
        'delay: 1h\nguards: [drop_database, drop_table, truncate, { delete_rows_over: 100000 }, { alter: "shop.%" }]\non_guard: warn\nguard_webhook: https://alarms.example/hook/t0ken',
      ),
    );
    const { targets } = loadConfig(join(folder, 'config.yaml'), ENV).channels[0]!;
    expect(targets[0]!.guards).toEqual({
      guards: [
        { is: 'drop_database' },
        { is: 'drop_table' },
        { is: 'truncate' },
        { is: 'delete_rows_over', rows: 100_000 },
        { is: 'alter', table: 'shop.%' },
      ],
      onGuard: 'warn',
      webhook: 'https://alarms.example/hook/t0ken',
    });
  });

  test('hold unless told otherwise, and post nowhere', () => {
    write(target('delay: 1h\nguards: [drop_table]'));
    const { targets } = loadConfig(join(folder, 'config.yaml'), ENV).channels[0]!;
    expect(targets[0]!.guards).toMatchObject({ onGuard: 'hold', webhook: null });
  });

  test.each([
    [
      'without a delay',
      'guards: [drop_table]',
      '13:17: channels[0].targets[0].guards: guards look ahead while a delay runs, and this target has none; add a delay, like delay: 1h',
    ],
    [
      'under a delay of nothing',
      'delay: 0s\nguards: [drop_table]',
      '14:17: channels[0].targets[0].guards: guards look ahead while a delay runs, and this target has none; add a delay, like delay: 1h',
    ],
    [
      'with a word that is none',
      'delay: 1h\nguards: [drop_tabel]',
      '14:18: channels[0].targets[0].guards[0]: expected one of drop_database, drop_table, truncate; got "drop_tabel"; did you mean drop_table?',
    ],
    [
      'with a pattern that names no table',
      'delay: 1h\nguards: [{ alter: orders }]',
      '14:27: channels[0].targets[0].guards[0].alter: "orders" is no pattern of tables; write database.table, like "shop.%"',
    ],
    [
      'with a number of rows that is none',
      'delay: 1h\nguards: [{ delete_rows_over: many }]',
      '14:38: channels[0].targets[0].guards[0].delete_rows_over: expected a whole number from 0 to 9007199254740991',
    ],
    [
      'with a map that is none',
      'delay: 1h\nguards: [{ delete_over: 5 }]',
      '14:18: channels[0].targets[0].guards[0]: expected one of drop_database, drop_table, truncate, { delete_rows_over: 100000 }, { alter: "shop.%" }',
    ],
    [
      'that do something unknown',
      'delay: 1h\nguards: [drop_table]\non_guard: stop',
      '15:19: channels[0].targets[0].on_guard: expected one of hold, warn; got "stop"',
    ],
    [
      'that are none, with a webhook',
      'delay: 1h\nguard_webhook: https://alarms.example/hook',
      '14:24: channels[0].targets[0].guard_webhook: does nothing without guards; add guards or remove the key',
    ],
    [
      'with a webhook that is no URL',
      'delay: 1h\nguards: [drop_table]\nguard_webhook: alarms.example/hook',
      '15:24: channels[0].targets[0].guard_webhook: expected a URL, like https://alarms.example/hook',
    ],
    [
      'with a webhook of another kind',
      'delay: 1h\nguards: [drop_table]\nguard_webhook: "file:///etc/passwd"',
      '15:24: channels[0].targets[0].guard_webhook: expected a URL, like https://alarms.example/hook',
    ],
    [
      'with a password in the webhook',
      'delay: 1h\nguards: [drop_table]\nguard_webhook: https://me:hunter2@alarms.example/hook',
      '15:24: channels[0].targets[0].guard_webhook: must not hold a user name or a password; put a token into its path',
    ],
  ])('%s are one error at its place', (_, lines, problem) => {
    const found = problems(target(lines));
    expect(found).toEqual([`config.yaml:${problem}`]);
    expect(found.join('\n')).not.toContain('hunter2');
  });
});
