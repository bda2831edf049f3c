import { describe, expect, test } from 'vitest';
import { createLogger, type LogOptions, withFacts } from '../../../src/channel/log.ts';
import { Secret } from '../../../src/config/secret.ts';

function logTo(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const log = createLogger({ level: 'info', format: 'json', write: (line) => lines.push(line), ...options });
  return { log, lines };
}

describe('the log as JSON', () => {
  test('is one object a line: level, time, facts, a constant message', () => {
    const { log, lines } = logTo();
    withFacts(log, { channel: 'shop', thread: 'reader' }).info('reader connected', {
      source: 'db:3306',
      gno: 5n,
    });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/\n$/);
    expect(JSON.parse(lines[0]!)).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      channel: 'shop',
      thread: 'reader',
      source: 'db:3306',
      gno: '5',
      msg: 'reader connected',
    });
  });

  test('leaves out what is below its level', () => {
    const { log, lines } = logTo({ level: 'warn' });
    log.debug('a');
    log.info('b');
    log.warn('c');
    log.error('d');
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(['c', 'd']);
  });

  test('masks secrets wherever they stand', () => {
    const { log, lines } = logTo();
    log.error('x', {
      password: 'hunter2',
      endpoint: { host: 'db', password: 'hunter2', tls: { key: 'hunter2' }, list: [{ passwd: 'hunter2' }] },
      wrapped: new Secret('hunter2'),
      sql: "CREATE USER a IDENTIFIED BY 'hunter2'",
      client_secret: 'hunter2',
    });
    expect(lines[0]).not.toContain('hunter2');
    expect(lines[0]).toContain('"host":"db"');
  });

  test('survives facts that JSON cannot hold', () => {
    const { log, lines } = logTo();
    const ring: Record<string, unknown> = {};
    ring.ring = ring;
    log.info('x', {
      ring,
      buffer: Buffer.alloc(100),
      fn: () => 1,
      none: undefined,
      error: new Error('boom'),
    });
    const entry = JSON.parse(lines[0]!) as Record<string, unknown>;
    expect(entry.error).toBe('boom');
    expect(entry.buffer).toBe('…');
    expect(entry).not.toHaveProperty('fn');
  });
});

describe('the log for people', () => {
  test('is time, level, message and facts in one line', () => {
    const { log, lines } = logTo({ format: 'pretty' });
    log.warn('thread failed', { channel: 'shop', cause: 'two words', empty: '', none: null, n: 3 });
    expect(lines[0]).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3} warn {2}thread failed {2}channel=shop cause="two words" empty="" n=3\n$/,
    );
  });

  test('has no colours unless they are asked for', () => {
    const plain = logTo({ format: 'pretty' });
    plain.log.error('x');
    expect(plain.lines[0]).not.toContain('\u001b');
    const coloured = logTo({ format: 'pretty', colour: true });
    coloured.log.error('x');
    expect(coloured.lines[0]).toContain('\u001b[31merror\u001b[39m');
  });

  test('lets no control character of a server through', () => {
    const { log, lines } = logTo({ format: 'pretty' });
    log.error('x', { cause: 'a\u001b[2Jb\nc' });
    expect(lines[0]).toMatch(/cause="a\\u001b\[2Jb\\nc"\n$/);
  });
});
