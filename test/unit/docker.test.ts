/**
 * What can be checked of docker/ without a daemon: the files parse, what they copy, mount and call exists, and the
 * configuration in them is one that Millrace accepts.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { readConfig } from '../../src/config/load-config.ts';
import { repositoryRoot } from '../support/repository.ts';

const docker = join(repositoryRoot, 'docker');
const read = (name: string): string => readFileSync(join(docker, name), 'utf8');
const temporary = mkdtempSync(join(tmpdir(), 'millrace-docker-'));
afterAll(() => rmSync(temporary, { recursive: true, force: true }));

interface Instruction {
  readonly verb: string;
  readonly rest: string;
}

/** Continued lines joined, comments dropped. */
function instructions(text: string): Instruction[] {
  return text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .replace(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [verb = '', ...rest] = line.trim().split(/\s+/);
      return { verb, rest: rest.join(' ') };
    });
}

describe('the Dockerfile', () => {
  const all = instructions(read('Dockerfile'));
  const last = all.slice(all.findLastIndex(({ verb }) => verb === 'FROM'));
  const copies = all.filter(({ verb }) => verb === 'COPY');

  test('it holds known instructions only, in two stages', () => {
    const known = [
      'FROM',
      'WORKDIR',
      'COPY',
      'RUN',
      'LABEL',
      'ENV',
      'EXPOSE',
      'VOLUME',
      'USER',
      'STOPSIGNAL',
      'HEALTHCHECK',
      'ENTRYPOINT',
      'CMD',
    ];
    expect(all.filter(({ verb }) => !known.includes(verb))).toEqual([]);
    expect(all.filter(({ verb }) => verb === 'FROM')).toHaveLength(2);
  });

  test('what it copies is in the repository, and is sent to the daemon', () => {
    const sent = read('Dockerfile.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const copied = copies
      .filter(({ rest }) => !rest.startsWith('--from'))
      .flatMap(({ rest }) => rest.split(' ').slice(0, -1));
    expect(copied.length).toBeGreaterThan(5);
    expect(copied.filter((name) => !existsSync(join(repositoryRoot, name)))).toEqual([]);
    expect(copied.filter((name) => !sent.includes(name))).toEqual([]);
  });

  test('what it takes from the first stage is made there', () => {
    const made = ['/app/node_modules', '/app/dist'];
    const taken = copies
      .filter(({ rest }) => rest.startsWith('--from'))
      .map(({ rest }) => rest.split(' ')[1]);
    expect(taken.sort()).toEqual(made.sort());
    expect(readFileSync(join(repositoryRoot, 'bundle.js'), 'utf8')).toContain("dir: 'dist'");
    const { scripts } = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8'));
    for (const { rest } of all.filter(({ verb }) => verb === 'RUN')) {
      for (const [, script] of rest.matchAll(/npm run (\S+)/g))
        expect(scripts).toHaveProperty([script ?? '']);
    }
  });

  test('Millrace is PID 1, not root, ends by SIGTERM, and says whether it is healthy', () => {
    const value = (verb: string): string => last.find((one) => one.verb === verb)?.rest ?? '';
    expect(value('USER')).toBe('node');
    expect(value('STOPSIGNAL')).toBe('SIGTERM');
    // The exec form: a shell would swallow the signals.
    expect(JSON.parse(value('ENTRYPOINT'))).toEqual(['node', '/app/bin/millrace.js']);
    expect(JSON.parse(value('CMD'))).toEqual(['start']);
    const [, command] = /CMD (\[.*\])$/.exec(value('HEALTHCHECK')) ?? [];
    expect(JSON.parse(command ?? 'null')).toEqual(['node', '/app/bin/millrace.js', 'status']);
    expect(existsSync(join(repositoryRoot, 'bin', 'millrace.js'))).toBe(true);
  });
});

describe('compose.yaml', () => {
  const compose = parse(read('compose.yaml'), { merge: true });

  test('it has a source and a target of MySQL 8.4 that are healthy before Millrace starts', () => {
    const always = Object.keys(compose.services).filter(
      (name) => compose.services[name].profiles === undefined,
    );
    expect(always.sort()).toEqual(['millrace', 'source', 'target']);
    for (const name of ['source', 'target']) {
      expect(compose.services[name].image).toBe('mysql:8.4');
      expect(compose.services[name].healthcheck.test.slice(0, 4)).toEqual([
        'CMD',
        'mysqladmin',
        'ping',
        '-h127.0.0.1',
      ]);
      expect(compose.services.millrace.depends_on[name]).toEqual({ condition: 'service_healthy' });
    }
  });

  test('every file that it mounts or builds from exists, every volume and secret is declared', () => {
    for (const service of Object.values<Record<string, unknown>>(compose.services)) {
      for (const mount of (service.volumes ?? []) as string[]) {
        const [from = '', to = ''] = mount.split(':');
        expect(posix.isAbsolute(to)).toBe(true);
        if (from.startsWith('.')) expect(existsSync(join(docker, from)), from).toBe(true);
        else expect(compose.volumes).toHaveProperty([from]);
      }
      for (const secret of (service.secrets ?? []) as string[])
        expect(compose.secrets).toHaveProperty([secret]);
    }
    for (const { file } of Object.values<{ file: string }>(compose.secrets)) {
      expect(statSync(join(docker, file)).size).toBeGreaterThan(0);
    }
    const { context, dockerfile } = compose.services.millrace.build;
    expect(existsSync(join(docker, context, dockerfile))).toBe(true);
  });

  test('the configuration is one that Millrace accepts, with the hosts and secrets of the composition', () => {
    const { millrace } = compose.services;
    const environment = Object.fromEntries(
      Object.entries<string>(millrace.environment).map(([name, value]) => [
        name,
        /:-(.*)}$/.exec(value)?.[1] ?? value,
      ]),
    );
    // The secrets are mounted below /run/secrets; here they are files of the repository.
    const text = read('millrace.yaml').replaceAll('/run/secrets/', `${join(docker, 'secrets')}/`);
    const file = join(temporary, 'config.yaml');
    writeFileSync(file, text);
    const result = readConfig(file, environment);
    expect(result).toMatchObject({ ok: true });
    if (!result.ok) return;
    expect(result.config.dataDir).toBe('/var/lib/millrace');
    expect(millrace.volumes).toContain('millrace-data:/var/lib/millrace');
    expect(read('Dockerfile')).toContain('VOLUME /var/lib/millrace');
    expect(read('Dockerfile')).toContain(`MILLRACE_CONFIG=${millrace.volumes[0].split(':')[1]}`);
    const [channel] = result.config.channels;
    const hosts = [
      channel?.source.endpoint.host,
      ...(channel?.targets ?? []).map(({ endpoint }) => endpoint.host),
    ];
    expect(hosts).toEqual(['source', 'target']);
  });

  test('the accounts that the servers create are the ones that Millrace uses', () => {
    const config = parse(read('millrace.yaml')).channels[0];
    const password = (sql: string): string =>
      /CREATE USER '(\w+)'@'%' IDENTIFIED BY '([^']+)'/.exec(sql)?.slice(1).join('/') ?? '';
    const fallback = /:-(.*)}$/.exec(compose.services.millrace.environment.SOURCE_PASSWORD)?.[1];
    expect(password(read('mysql/source-account.sql'))).toBe(`${config.source.user}/${fallback}`);
    expect(password(read('mysql/target-account.sql'))).toBe(
      `${config.targets[0].user}/${read('secrets/target_password').trim()}`,
    );
  });
});

describe('the other files', () => {
  test('server options stand in a section that the server reads, one a line', () => {
    for (const name of readdirSync(join(docker, 'mysql')).filter((file) => file.endsWith('.cnf'))) {
      const lines = read(`mysql/${name}`)
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#'));
      expect(lines[0]).toBe('[mysqld]');
      expect(lines.slice(1).filter((line) => !/^[a-z-]+ = \S+$/.test(line))).toEqual([]);
    }
  });

  test('the unit has its sections, starts what exists, and is not root', () => {
    const text = read('millrace.service');
    const sections = [...text.matchAll(/^\[(\w+)\]$/gm)].map((match) => match[1]);
    expect(sections).toEqual(['Unit', 'Service', 'Install']);
    const wrong = text.split('\n').filter((line) => !/^(|#.*|\[\w+\]|[A-Z]\w+=.*)$/.test(line));
    expect(wrong).toEqual([]);
    expect(text).toMatch(
      /^ExecStart=\/usr\/bin\/node \/opt\/millrace\/bin\/millrace\.js start -c \/etc\/millrace\/config\.yaml$/m,
    );
    expect(text).toMatch(/^DynamicUser=yes$/m);
    expect(text).toMatch(/^NoNewPrivileges=yes$/m);
    expect(text).toMatch(/^KillSignal=SIGTERM$/m);
  });
});
