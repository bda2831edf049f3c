import { describe, expect, test } from 'vitest';
import type { Config } from '../../../src/config/config.ts';
import { changeLine, diffConfigs, inOrderOf } from '../../../src/config/config-diff.ts';
import { loadConfig } from '../../../src/config/load-config.ts';
import { write } from './config-files.ts';

interface Wish {
  readonly top?: string;
  readonly relay?: string;
  readonly source?: string;
  readonly standby?: string;
  readonly password?: string;
  readonly more?: string;
}

let count = 0;

function config(wish: Wish = {}): Config {
  const text = `data_dir: data
${wish.top ?? ''}
channels:
  - name: shop
    source: { host: src, user: repl, password: "${wish.password ?? 'x'}"${wish.source ?? ''} }
    relay_log: { ${wish.relay ?? ''} }
    targets:
      - { name: standby, host: dst, user: apply, password: y${wish.standby ?? ''} }
${wish.more ?? ''}`;
  return loadConfig(write(text, `diff-${++count}.yaml`), {});
}

const lines = (before: Wish, after: Wish): string[] =>
  diffConfigs(config(before), config(after)).map(
    (change) => `${change.live ? 'live' : 'fixed'} ${changeLine(change)}`,
  );

describe('what changed in a configuration', () => {
  test('is nothing when the file says the same', () => {
    expect(lines({}, {})).toEqual([]);
    expect(lines({ standby: ', delay: 60s' }, { standby: ', delay: 1m' })).toEqual([]);
  });

  test.each<[string, Wish, Wish, string[]]>([
    ['the log level', {}, { top: 'log: { level: debug }' }, ['live log.level: info → debug']],
    ['the log format', {}, { top: 'log: { format: json }' }, ['fixed log.format: (not given) → json']],
    [
      'the retention',
      { relay: 'retention: 24h' },
      { relay: 'retention: 48h' },
      ['live shop.relay_log.retention: 1d → 2d'],
    ],
    ['the sync', {}, { relay: 'sync: 1s' }, ['fixed shop.relay_log.sync: 100ms → 1s']],
    [
      'a file size',
      {},
      { relay: 'max_file_size: 512MiB' },
      ['fixed shop.relay_log.max_file_size: 1GiB → 512MiB'],
    ],
    ['a delay', {}, { standby: ', delay: 1h' }, ['live shop.standby.delay: 0s → 1h']],
    ['workers', {}, { standby: ', workers: 4' }, ['fixed shop.standby.workers: 8 → 4']],
    ['a host', {}, { source: ', port: 3307' }, ['fixed shop.source.port: 3306 → 3307']],
    [
      'system schemas',
      {},
      { standby: ', replicate_system: true' },
      ['live shop.standby.replicate_system: false → true'],
    ],
    [
      'the words for guards',
      {},
      { standby: ', on_guard: warn' },
      ['live shop.standby.on_guard: hold → warn'],
    ],
  ])('%s', (_what, before, after, expected) => {
    expect(lines(before, after)).toEqual(expected);
  });

  test('a secret is compared and not shown', () => {
    expect(lines({}, { password: 'hunter2' })).toEqual([
      'fixed shop.source.password: (as it was) → (changed)',
    ]);
    const webhook = lines(
      { standby: ', delay: 1h, guards: [drop_table], guard_webhook: "https://a.example/t0ken"' },
      { standby: ', delay: 1h, guards: [drop_table], guard_webhook: "https://b.example/t0ken"' },
    );
    expect(webhook.join()).not.toContain('t0ken');
    expect(webhook[0]).toMatch(/^live shop\.standby\..*guard_webhook: /);
  });

  test('a target that comes is not reloaded, and is said in one line of its own', () => {
    const more = '      - { name: second, host: other, user: apply, password: y }';
    const [first] = lines({}, { more });
    expect(first).toBe('fixed shop.second: (not there) → a target');
    expect(diffConfigs(config({}), config({ more })).every(({ live }) => !live)).toBe(true);
    expect(lines({ more }, {})[0]).toBe('fixed shop.second: a target → (not there)');
  });

  test('is told apart where names have dots, and names are shown as they are written', () => {
    const pair = (delay: string, other: string): Config => {
      const target = (name: string, how: string): string =>
        `{ name: ${name}, host: dst, user: apply, password: y, delay: ${how} }`;
      const source = 'source: { host: src, user: repl, password: x }';
      return loadConfig(
        write(
          `data_dir: data\nchannels:\n  - { name: a, ${source}, targets: [${target('b.guardsMs', delay)}] }\n` +
            `  - { name: a.b, ${source}, targets: [${target('guardsMs', other)}] }\n`,
          `diff-${++count}.yaml`,
        ),
        {},
      );
    };
    const changed = (before: Config, after: Config): string[] => diffConfigs(before, after).map(changeLine);
    expect(changed(pair('1h', '1h'), pair('2h', '1h'))).toEqual(['a.b.guardsMs.delay: 1h → 2h']);
    expect(changed(pair('1h', '1h'), pair('1h', '3h'))).toEqual(['a.b.guardsMs.delay: 1h → 3h']);
    expect(changed(pair('1h', '1h'), pair('2h', '3h'))).toHaveLength(2);
  });

  test('the order of targets does not count, and threads keep their numbers', () => {
    const one = (name: string): string =>
      `      - { name: ${name}, host: ${name}, user: apply, password: y }\n`;
    const before = config({ more: one('a') + one('b') });
    const after = config({ more: one('b') + one('a') });
    expect(diffConfigs(before, after)).toEqual([]);
    const names = inOrderOf(before, after).channels[0]!.targets.map(({ name }) => name);
    expect(names).toEqual(['standby', 'a', 'b']);
  });
});
