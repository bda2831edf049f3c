import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { channelUuid, loadIdentity } from '../../../src/channel/identity.ts';
import { temporaryFolder } from '../../support/repository.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

test('the identity is made once, for its owner alone, and stays', () => {
  const folder = temporaryFolder('identity');
  const uuid = loadIdentity(folder);
  expect(uuid).toMatch(UUID);
  expect(loadIdentity(folder)).toBe(uuid);
  expect(readFileSync(join(folder, 'identity'), 'utf8')).toBe(`server_uuid=${uuid}\n`);
  expect(statSync(join(folder, 'identity')).mode & 0o777).toBe(0o600);
});

test('two data_dirs are two replicas', () => {
  expect(loadIdentity(temporaryFolder('identity'))).not.toBe(loadIdentity(temporaryFolder('identity')));
});

test.each(['', 'server_uuid=\n', 'server_uuid=xyz\n', '\0\0\0'])(
  'a damaged identity %j is refused with the remedy, never replaced in silence',
  (text) => {
    const folder = temporaryFolder('identity');
    writeFileSync(join(folder, 'identity'), text);
    expect(() => loadIdentity(folder)).toThrow(
      expect.objectContaining({ code: 'DISK', hint: expect.stringContaining('remove it') }),
    );
    expect(readFileSync(join(folder, 'identity'), 'utf8')).toBe(text);
  },
);

test('every channel has a server_uuid of its own, the same at every start', () => {
  const identity = '8a94f357-aab4-11df-86ab-c80aa9429562';
  expect(channelUuid(identity, 'orders')).toBe('2a58a9dd-e09f-5695-9578-086bf01465b4');
  expect(channelUuid(identity, 'billing')).toMatch(UUID);
  expect(channelUuid(identity, 'billing')).not.toBe(channelUuid(identity, 'orders'));
});
