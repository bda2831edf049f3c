import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  listRelayFiles,
  readRelayLogIndex,
  relayFileName,
  relayFileNumber,
  writeRelayLogIndex,
} from '../../../src/relay/relay-log-index.ts';
import { RelayDirectory } from '../../support/relay-directory.ts';

let relay: RelayDirectory;
beforeEach(() => {
  relay = new RelayDirectory();
});
afterEach(() => relay.remove());

test('names and numbers belong together, also past six digits', () => {
  expect(relayFileName(1)).toBe('relay-bin.000001');
  for (const number of [1, 999_999, 1_000_000, 123_456_789]) {
    expect(relayFileNumber(relayFileName(number))).toBe(number);
  }
  for (const other of ['relay-bin.index', 'relay-bin.00001', 'relay-bin.0000001', 'x-relay-bin.000001']) {
    expect(relayFileNumber(other)).toBeNull();
  }
  expect(relayFileNumber('relay-bin.000000')).toBeNull();
  expect(relayFileNumber('./relay-bin.000012')).toBe(12);
});

test("the index is mysqld's: one name a line", () => {
  writeRelayLogIndex(relay.dir, [7, 8, 10]);
  expect(readFileSync(join(relay.dir, 'relay-bin.index'), 'utf8')).toBe(
    'relay-bin.000007\nrelay-bin.000008\nrelay-bin.000010\n',
  );
  expect(readRelayLogIndex(relay.dir)).toEqual([7, 8, 10]);
  expect(statSync(join(relay.dir, 'relay-bin.index')).mode & 0o777).toBe(0o600);
  expect(readdirSync(relay.dir)).toEqual(['relay-bin.index']);
});

test('no index is not an empty index', () => {
  expect(readRelayLogIndex(relay.dir)).toBeNull();
  writeRelayLogIndex(relay.dir, []);
  expect(readRelayLogIndex(relay.dir)).toEqual([]);
});

test('a damaged index is named, line and all', () => {
  for (const text of [
    '../../etc/passwd\n',
    'relay-bin.000002\nrelay-bin.000001\n',
    'relay-bin.000001\nrelay-b',
  ]) {
    writeFileSync(join(relay.dir, 'relay-bin.index'), text);
    expect(() => readRelayLogIndex(relay.dir)).toThrow(expect.objectContaining({ code: 'RELAY_CORRUPT' }));
  }
});

test('the files of the directory are found, and nothing else', () => {
  for (const name of ['relay-bin.000010', 'relay-bin.000002', 'relay-bin.index', 'other']) {
    writeFileSync(join(relay.dir, name), '');
  }
  expect(listRelayFiles(relay.dir)).toEqual([2, 10]);
  expect(listRelayFiles(join(relay.dir, 'not there'))).toEqual([]);
});

test('an index that cannot be replaced stays as it was', () => {
  writeRelayLogIndex(relay.dir, [1]);
  mkdirSync(join(relay.dir, 'relay-bin.index.tmp'));
  expect(() => writeRelayLogIndex(relay.dir, [1, 2])).toThrow(expect.objectContaining({ code: 'DISK' }));
  expect(readRelayLogIndex(relay.dir)).toEqual([1]);
});
