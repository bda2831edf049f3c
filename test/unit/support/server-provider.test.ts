import { afterEach, expect, test, vi } from 'vitest';
import { dockerSilence } from '../../support/docker-servers.ts';
import { parseVersion, programNames } from '../../support/installation.ts';
import {
  findServerBuild,
  type ServerBuild,
  type ServerProvider,
  versionMatches,
} from '../../support/server-provider.ts';

afterEach(() => vi.unstubAllEnvs());

function provider(name: string, answer: ServerBuild | { unavailable: string } | Error): ServerProvider {
  return {
    name,
    prepare: () => (answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer)),
  };
}

const build: ServerBuild = {
  provider: 'b',
  version: '9.7.4',
  start: () => Promise.reject(new Error('not started here')),
};

test('the first provider that can deliver is taken', async () => {
  const providers = [
    provider('a', { unavailable: 'no' }),
    provider('b', build),
    provider('c', new Error('never asked')),
  ];
  expect(await findServerBuild(providers, { flavour: 'mysql' })).toBe(build);
});

test('when none can, the error holds the reason of each', async () => {
  const providers = [provider('a', { unavailable: 'no daemon' }), provider('b', new Error('no network'))];
  await expect(findServerBuild(providers, { flavour: 'mysql', version: '9.7' })).rejects.toThrow(
    /No mysql 9\.7 server can be started:\n {2}a: no daemon\n {2}b: Error: no network/,
  );
});

test('MILLRACE_SERVERS allows only the one that it names', async () => {
  vi.stubEnv('MILLRACE_SERVERS', 'a');
  const providers = [provider('a', { unavailable: 'no daemon' }), provider('b', build)];
  await expect(findServerBuild(providers, { flavour: 'mariadb' })).rejects.toThrow(
    'MILLRACE_SERVERS=a allows only',
  );
});

test('a Docker host that does not answer is known at once, with what to do', async () => {
  vi.stubEnv('DOCKER_HOST', 'tcp://127.0.0.1:1');
  expect(await dockerSilence()).toMatch(
    /no daemon at tcp:\/\/127\.0\.0\.1:1 .*start Docker or set DOCKER_HOST/,
  );
});

test('versions are compared number by number', () => {
  expect(versionMatches('10.11.18', '10.11')).toBe(true);
  expect(versionMatches('10.11.18', '10.1')).toBe(false);
  expect(versionMatches('9.7.4', undefined)).toBe(true);
});

test('the version and the flavour are read from what a server says about itself', () => {
  expect(parseVersion('mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))')).toEqual({
    version: '9.7.4',
    flavour: 'mysql',
  });
  expect(parseVersion('mariadbd  Ver 10.11.18-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64')).toEqual({
    version: '10.11.18',
    flavour: 'mariadb',
  });
  expect(parseVersion('no version here')).toBeNull();
});

test("MariaDB's programs are found under their new names and their old ones", () => {
  expect(programNames('mariadb', 'mysqlbinlog')).toEqual(['mariadb-binlog', 'mysqlbinlog']);
  expect(programNames('mariadb', 'mysql')).toEqual(['mariadb', 'mysql']);
  expect(programNames('mysql', 'mysqlbinlog')).toEqual(['mysqlbinlog']);
});
