// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${…} is the notation of the files under test
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load-config.ts';
import { loadPlaces } from '../../../src/config/places.ts';
import { repositoryRoot } from '../../support/repository.ts';
import { EIGHT_LINES, ENV, folder, write } from './config-files.ts';

describe('a valid configuration', () => {
  test('the eight lines of the README are enough', () => {
    const config = loadConfig(write(EIGHT_LINES), ENV);
    expect(config.dataDir).toBe(join(folder, 'data'));
    const [channel] = config.channels;
    expect(channel?.source.endpoint.password.reveal()).toBe('s3cret-s');
    expect(channel?.source).toMatchObject({ serverId: null, start: { at: 'auto' }, heartbeatMs: 1000 });
    expect(channel?.relayLog).toEqual({ maxFileSize: 1024 ** 3, syncMs: 100, retentionMs: 86_400_000 });
    expect(channel?.targets[0]).toMatchObject({
      name: 'standby',
      mode: 'auto',
      progress: 'auto',
      workers: 8,
      commitOrder: 'window',
    });
    expect(channel?.targets[0]?.endpoint).toMatchObject({ port: 3307, tls: { mode: 'preferred' } });
    expect(config.log).toEqual({ level: 'info', format: null });
  });

  test('every key of the surface is taken', () => {
    mkdirSync(join(folder, 'tls'), { recursive: true });
    for (const name of ['ca', 'cert', 'key'])
      writeFileSync(join(folder, 'tls', name), `${name} in PEM\n`, { mode: 0o600 });
    writeFileSync(join(folder, 'apply-password'), 'from a file\n', { mode: 0o600 });
    writeFileSync(join(folder, 'http-token'), '0123456789abcdef\n', { mode: 0o600 });
    const config = loadConfig(
      write(`data_dir: /var/lib/millrace
log: { level: debug, format: pretty }
http: { listen: "[::1]:9104", token_file: http-token, allowed_hosts: [Millrace.internal] }
channels:
  - name: orders
    source:
      host: db1
      port: "3306"
      user: repl
      password: ""
      tls: { mode: verify_identity, ca: tls/ca, cert: tls/cert, key: tls/key }
      server_id: 4201
      start: { gtid_set: "3E11FA47-71CA-11E1-9E33-C80AA9429562:1-5, 3e11fa47-71ca-11e1-9e33-c80aa9429563:tag:1-3:5" }
      heartbeat: 2s
      connect_timeout: 5s
    relay_log: { max_file_size: 64MiB, sync: always, retention: 7d }
    targets:
      - name: standby
        host: db2
        user: apply
        password_file: apply-password
        tls: required
        mode: binlog
        progress: table
        workers: 16
        commit_order: source
        coalesce: 1
        delay: 0s
        filters:
          replicate_do_db: []
          replicate_ignore_db: []
          replicate_do_table: []
          replicate_ignore_table: []
          replicate_wild_do_table: []
          replicate_wild_ignore_table: []
        replicate_rewrite_db: []
        connect_timeout: 1m
  - name: billing
    source: { host: db1, user: repl, password: p, start: { file: binlog.000007, position: 4 } }
    targets: [{ name: standby, host: db2, user: a, password: p }]
`),
      ENV,
    );
    const [orders, billing] = config.channels;
    expect(config.http).toMatchObject({
      listen: { host: '::1', port: 9104 },
      allowedHosts: ['millrace.internal'],
    });
    expect(config.http?.token?.reveal()).toBe('0123456789abcdef');
    expect(orders?.source.endpoint.tls).toMatchObject({
      mode: 'verify_identity',
      ca: 'ca in PEM\n',
      cert: 'cert in PEM\n',
    });
    expect(orders?.source.endpoint.tls.key?.reveal()).toBe('key in PEM\n');
    expect(orders?.source).toMatchObject({ serverId: 4201, heartbeatMs: 2000 });
    expect(orders?.source.start).toEqual({
      at: 'gtid_set',
      gtidSet: '3E11FA47-71CA-11E1-9E33-C80AA9429562:1-5,3e11fa47-71ca-11e1-9e33-c80aa9429563:tag:1-3:5',
    });
    expect(orders?.relayLog.syncMs).toBe(0);
    expect(orders?.targets[0]?.endpoint.password.reveal()).toBe('from a file');
    expect(orders?.targets[0]).toMatchObject({ progress: 'table', workers: 16, commitOrder: 'source' });
    expect(billing?.source.start).toEqual({ at: 'position', file: 'binlog.000007', position: 4 });
    expect(config.warnings).toEqual([]);
  });

  test.each([
    ['"127.0.0.1:9104"', '127.0.0.1', 9104],
    ['9104', '127.0.0.1', 9104],
    ['":9104"', '127.0.0.1', 9104],
    ['"0.0.0.0:80"', '0.0.0.0', 80],
    ['localhost:9104', 'localhost', 9104],
  ])('http.listen: %s is %s, port %d', (listen, host, port) => {
    const config = loadConfig(write(`${EIGHT_LINES}http: { listen: ${listen} }\n`), ENV);
    expect(config.http).toEqual({ listen: { host, port }, token: null, allowedHosts: [] });
  });

  test('without http.listen nothing is served', () => {
    expect(loadConfig(write(EIGHT_LINES), ENV).http).toBeNull();
    expect(loadConfig(write(`${EIGHT_LINES}http: {}\n`), ENV).http).toBeNull();
  });

  test('it is frozen to the bottom', () => {
    const config = loadConfig(write(EIGHT_LINES), ENV);
    expect(Object.isFrozen(config.channels[0]?.targets[0]?.endpoint.tls)).toBe(true);
  });

  test('no way of printing it shows a password', () => {
    const config = loadConfig(write(EIGHT_LINES), ENV);
    for (const text of [
      JSON.stringify(config),
      inspect(config, { depth: 20 }),
      String(config.channels[0]?.source.endpoint.password),
    ]) {
      expect(text).not.toContain('s3cret');
    }
    expect(JSON.stringify(config)).toContain('***');
  });

  test('a password file that everybody may read gives a warning with its place', () => {
    const file = join(folder, 'open-password');
    writeFileSync(file, 'secret\r\n');
    chmodSync(file, 0o644);
    const text = EIGHT_LINES.replace('password: "${TARGET_PASSWORD}"', 'password_file: open-password');
    const loaded = loadConfig(write(text), ENV);
    expect(loaded.warnings).toHaveLength(1);
    expect(loaded.warnings[0]).toMatch(
      /config\.yaml:6:\d+: channels\[0\]\.targets\[0\]\.password_file: open-password can be read by everybody; chmod 600/,
    );
    expect(loaded.channels[0]?.targets[0]?.endpoint.password.reveal()).toBe('secret');
  });

  test('what a variable holds is a value and never YAML', () => {
    const evil = 'x", user: root } # {';
    fc.assert(
      fc.property(fc.oneof(fc.constant(evil), fc.string()), (value) => {
        const config = loadConfig(write(EIGHT_LINES), { ...ENV, SOURCE_PASSWORD: value });
        expect(config.channels[0]?.source.endpoint.password.reveal()).toBe(value);
        expect(config.channels[0]?.source.endpoint.user).toBe('repl');
      }),
    );
  });

  test('${env:NAME} is the same as ${NAME}, digits become a number, $${ stands for itself', () => {
    const text = EIGHT_LINES.replace('port: 3306', 'port: "${env:PORT}"').replace(
      '"${TARGET_PASSWORD}"',
      () => '"a$${b}"',
    );
    const config = loadConfig(write(text), { ...ENV, PORT: '13306' });
    expect(config.channels[0]?.source.endpoint.port).toBe(13306);
    expect(config.channels[0]?.targets[0]?.endpoint.password.reveal()).toBe('a${b}');
  });
});

describe('the places that status and stop need', () => {
  test('are found although variables are missing and another part is wrong', () => {
    const places = loadPlaces(write(EIGHT_LINES.replace('port: 3306', 'prot: 3306')), {});
    expect(places).toEqual({ dataDir: join(folder, 'data'), channels: ['shop'] });
  });

  test('a data_dir from a variable that is not set is an error at its place', () => {
    const text = EIGHT_LINES.replace('./data', '${DATA}');
    expect(() => loadPlaces(write(text), {})).toThrow(
      /config\.yaml:1:11: data_dir: the environment variable DATA is not set/,
    );
    expect(loadPlaces(write(text), { DATA: '/srv/m' }).dataDir).toBe('/srv/m');
  });

  test('no data_dir is an error', () => {
    expect(() => loadPlaces(write('channels: []\n'), {})).toThrow(/config\.yaml:1:1: data_dir: missing/);
  });
});

test('the example configuration is valid, and says the defaults', () => {
  const example = loadConfig(join(repositoryRoot, 'config.example.yaml'), ENV);
  const smallest = loadConfig(write(EIGHT_LINES.replace('name: shop', 'name: orders')), ENV);
  expect(JSON.stringify(example.channels)).toBe(JSON.stringify(smallest.channels));
});
