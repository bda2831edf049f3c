import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { AuditLog } from '../../../src/channel/audit-log.ts';
import { targetWishes, withTarget } from '../../../src/channel/control-document.ts';
import { ControlStore } from '../../../src/channel/control-store.ts';
import { temporaryFolder } from '../../support/repository.ts';

describe('the control store', () => {
  test('keeps what was written, for its owner alone', () => {
    const folder = temporaryFolder('store');
    const store = ControlStore.open(folder);
    expect(store.document).toEqual([]);
    store.write(withTarget(store.document, 'orders', 'standby', { paused: true }));
    const path = join(folder, 'millrace.control.json');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(targetWishes(ControlStore.open(folder).document, 'orders', 'standby').paused).toBe(true);
  });

  test('what a killed write has left beside the file is no document', () => {
    const folder = temporaryFolder('store');
    const store = ControlStore.open(folder);
    store.write(withTarget(store.document, 'orders', 'standby', { paused: true }));
    writeFileSync(join(folder, 'millrace.control.json.tmp'), '{"millrace_control":1,"chann');
    expect(targetWishes(ControlStore.open(folder).document, 'orders', 'standby').paused).toBe(true);
    ControlStore.open(folder).write([]);
    expect(ControlStore.open(folder).document).toEqual([]);
  });

  test.each([
    ['cut off', (text: string) => text.slice(0, text.length / 2), 'it is not JSON'],
    ['empty', () => '', 'it is not JSON'],
    [
      'changed in one letter',
      (text: string) => text.replace('standby', 'standbx'),
      'its checksum does not match',
    ],
    ['no text', () => Buffer.from([0x7b, 0xff, 0xfe]), 'it is not UTF-8 text'],
  ])('a file that is %s keeps Millrace from starting, and names the remedy', (_what, damage, why) => {
    const folder = temporaryFolder('store');
    const path = join(folder, 'millrace.control.json');
    ControlStore.open(folder).write(withTarget([], 'orders', 'standby', { paused: true }));
    writeFileSync(path, damage(readFileSync(path, 'utf8')));
    expect(() => ControlStore.open(folder)).toThrow(
      expect.objectContaining({
        code: 'DISK',
        message: `${path} is damaged: ${why}`,
        hint: expect.stringMatching(
          /^It holds what was paused, .* Restore it, or remove it .*millrace\.audit\.log/,
        ),
      }),
    );
  });

  test('a write that fails leaves the document as it was, in memory as on the disk', () => {
    const folder = temporaryFolder('store');
    const store = ControlStore.open(folder);
    store.write(withTarget([], 'orders', 'standby', { paused: true }));
    mkdirSync(join(folder, 'millrace.control.json.tmp'));
    expect(() => store.write([])).toThrow(expect.objectContaining({ code: 'DISK' }));
    expect(targetWishes(store.document, 'orders', 'standby').paused).toBe(true);
    rmSync(join(folder, 'millrace.control.json.tmp'), { recursive: true });
    expect(ControlStore.open(folder).document).toEqual(store.document);
  });

  test('the same document is not written again', () => {
    const folder = temporaryFolder('store');
    const store = ControlStore.open(folder);
    store.write(store.document);
    expect(existsSync(join(folder, 'millrace.control.json'))).toBe(false);
  });
});

describe('the audit log', () => {
  const lines = (folder: string): unknown[] =>
    readFileSync(join(folder, 'millrace.audit.log'), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));

  test('has a line of JSON for each entry, for its owner alone', () => {
    const folder = temporaryFolder('audit');
    const audit = new AuditLog(folder, () => Date.parse('2026-02-03T04:05:06Z'));
    audit.append({ verb: 'skip', reason: 'line\nfeed' });
    new AuditLog(folder, () => 0).append({ verb: 'resume' });
    expect(lines(folder)).toEqual([
      { time: '2026-02-03T04:05:06.000Z', verb: 'skip', reason: 'line\nfeed' },
      { time: '1970-01-01T00:00:00.000Z', verb: 'resume' },
    ]);
    expect(statSync(join(folder, 'millrace.audit.log')).mode & 0o777).toBe(0o600);
  });

  test('a line that a power cut has torn is ended, not continued', () => {
    const folder = temporaryFolder('audit');
    const audit = new AuditLog(folder, () => 0);
    audit.append({ verb: 'pause' });
    appendFileSync(join(folder, 'millrace.audit.log'), '{"time":"1970-01');
    audit.append({ verb: 'resume' });
    const text = readFileSync(join(folder, 'millrace.audit.log'), 'utf8').split('\n');
    expect(text).toHaveLength(4);
    expect(JSON.parse(text[2]!)).toMatchObject({ verb: 'resume' });
  });

  test('that cannot be written says so', () => {
    const folder = temporaryFolder('audit');
    mkdirSync(join(folder, 'millrace.audit.log'));
    expect(() => new AuditLog(folder, () => 0).append({})).toThrow(expect.objectContaining({ code: 'DISK' }));
  });
});
