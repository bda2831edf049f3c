// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${…} is the notation of the files under test
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadConfig, readConfig } from '../../../src/config/load-config.ts';
import { config, EIGHT_LINES, ENV, folder, problems, write } from './config-files.ts';

const BAD: readonly (readonly [what: string, text: string, line: string])[] = [
  [
    'an unknown key at the top',
    config({ top: 'chanels: []\n' }),
    'config.yaml:13:1: chanels: unknown key; did you mean channels?',
  ],
  [
    'an unknown key of a target',
    config({ target: 'delai: 5s' }),
    'config.yaml:13:9: channels[0].targets[0].delai: unknown key; did you mean delay?',
  ],
  [
    'a key in camel case',
    config({ source: 'serverId: 5' }),
    'config.yaml:4:65: channels[0].source.serverId: unknown key; did you mean server_id?',
  ],
  [
    'an unknown key far from any other',
    config({ relay: 'zzz: 1' }),
    'config.yaml:7:18: channels[0].relay_log.zzz: unknown key; known here: max_file_size, sync, retention',
  ],
  [
    'an unknown key of tls',
    config({ source: 'tls: { mod: required }' }),
    'config.yaml:4:72: channels[0].source.tls.mod: unknown key; did you mean mode?',
  ],
  [
    'a merge key',
    config({ target: '<<: {}' }),
    'config.yaml:13:9: channels[0].targets[0].<<: unknown key; known here: name, host, port, user, password, password_file, tls, connect_timeout, mode, progress, workers, commit_order, coalesce, delay, filters, replicate_rewrite_db, ddl_filter, on_unparsed_ddl, replicate_system, skip_events, guards, on_guard, guard_webhook',
  ],
  [
    'a target with the name that pause and resume take for the reader',
    config().replace('name: standby', 'name: reader'),
    "config.yaml:9:15: channels[0].targets[0].name: reader means the channel's reader in millrace pause and millrace resume; choose another name",
  ],
  ['no data_dir', 'channels: []\n', 'config.yaml:1:1: data_dir: missing'],
  ['no channels', 'data_dir: d\n', 'config.yaml:1:1: channels: missing'],
  [
    'an empty list of channels',
    'data_dir: d\nchannels: []\n',
    'config.yaml:2:11: channels: needs at least one channel',
  ],
  [
    'an empty list of targets',
    config().replace(/targets:[\s\S]*/, 'targets: []\n'),
    'config.yaml:8:14: channels[0].targets: needs at least one target',
  ],
  ['channels as a map', 'data_dir: d\nchannels: {}\n', 'config.yaml:2:11: channels: expected a list'],
  [
    'a channel as a word',
    'data_dir: d\nchannels: [shop]\n',
    'config.yaml:2:12: channels[0]: expected a map of keys and values',
  ],
  [
    'an address without a port',
    config({ top: 'http: { listen: "127.0.0.1" }\n' }),
    'config.yaml:13:17: http.listen: expected an address and a port, like 127.0.0.1:9104 or [::1]:9104',
  ],
  [
    'a token that could be guessed',
    config({ top: 'http: { listen: "127.0.0.1:9104", token: hunter2 }\n' }),
    'config.yaml:13:42: http.token: a token has at least 16 characters, printable ASCII without blanks; make one with `openssl rand -hex 24`',
  ],
  [
    'two tokens',
    config({
      top: 'http: { listen: "127.0.0.1:9104", token: 0123456789abcdef, token_file: config.yaml }\n',
    }),
    'config.yaml:13:72: http.token_file: token is given as well; keep one of the two',
  ],
  [
    'a token file that is not there',
    config({ top: 'http: { listen: "127.0.0.1:9104", token_file: nowhere }\n' }),
    'config.yaml:13:47: http.token_file: nowhere: no such file',
  ],
  [
    'a token for nothing',
    config({ top: 'http: { token: 0123456789abcdef }\n' }),
    'config.yaml:13:16: http.token: nothing is served without http.listen; give it an address and a port, or remove this key',
  ],
  [
    'a URL among the host names',
    config({ top: 'http: { listen: "127.0.0.1:9104", allowed_hosts: ["http://a/"] }\n' }),
    'config.yaml:13:51: http.allowed_hosts[0]: expected a host name alone, like millrace.internal',
  ],
  ['an empty file', '', 'config.yaml:1:1: expected a map with the keys data_dir and channels'],
  [
    'a list as the whole file',
    '- 1\n',
    'config.yaml:1:1: expected a map with the keys data_dir and channels',
  ],
  [
    'a key without a value',
    config({ target: 'mode:' }),
    'config.yaml:13:9: channels[0].targets[0].mode: is empty; give a value or remove the key',
  ],
  [
    'a section without a value',
    config({ top: 'log:\n' }),
    'config.yaml:13:1: log: is empty; give a value or remove the key',
  ],
  [
    'no host',
    EIGHT_LINES.replace('host: 127.0.0.1, port: 3306, ', ''),
    'config.yaml:4:13: channels[0].source.host: missing',
  ],
  [
    'host and port in one',
    EIGHT_LINES.replace('host: 127.0.0.1, port: 3306', 'host: "db:3306"'),
    'config.yaml:4:21: channels[0].source.host: expected a host name or address alone; the port has its own key',
  ],
  [
    'a port as a word',
    config({ target: 'port: mysql' }),
    'config.yaml:13:15: channels[0].targets[0].port: expected a whole number from 1 to 65535',
  ],
  [
    'a port out of range',
    config({ target: 'port: 65536' }),
    'config.yaml:13:15: channels[0].targets[0].port: 65536 is not from 1 to 65535',
  ],
  [
    'a password as a number',
    config().replace('"y"', '0123'),
    'config.yaml:12:19: channels[0].targets[0].password: expected text, got a number; put it in quotes',
  ],
  [
    'no password',
    config().replace('        password: "y"\n', ''),
    'config.yaml:9:9: channels[0].targets[0]: password is missing; give password: "${NAME}" (a variable) or password_file',
  ],
  [
    'two passwords',
    config({ target: 'password_file: /etc/passwd' }),
    'config.yaml:13:24: channels[0].targets[0].password_file: password is given as well; keep one of the two',
  ],
  [
    'a password file that is not there',
    config().replace('password: "y"', 'password_file: nowhere'),
    'config.yaml:12:24: channels[0].targets[0].password_file: nowhere: no such file',
  ],
  [
    'a password file that is a folder',
    config().replace('password: "y"', 'password_file: .'),
    'config.yaml:12:24: channels[0].targets[0].password_file: .: is a folder, not a file',
  ],
  [
    'a variable that is not set',
    config().replace('"y"', '${NOT_SET}'),
    'config.yaml:12:19: channels[0].targets[0].password: the environment variable NOT_SET is not set; set it before the start',
  ],
  [
    'a variable inside a value',
    config().replace('"y"', '"a${WORDS}b"'),
    'config.yaml:12:19: channels[0].targets[0].password: only a whole value can be a variable; write ${NAME} alone as the value, or $${ for a literal ${',
  ],
  [
    'a file as a variable',
    config().replace('"y"', '"${file:/run/x}"'),
    'config.yaml:12:19: channels[0].targets[0].password: only a whole value can be a variable; write ${NAME} alone as the value, or $${ for a literal ${',
  ],
  [
    'a wrong value from a variable, not shown',
    config({ target: 'workers: "${WORDS}"' }),
    'config.yaml:13:18: channels[0].targets[0].workers: the value of the variable WORDS: expected a whole number from 1 to 64',
  ],
  [
    'a wrong word from a variable, not shown',
    config({ target: 'mode: "${WORDS}"' }),
    'config.yaml:13:15: channels[0].targets[0].mode: the value of the variable WORDS: expected one of auto, binlog, sql; got ',
  ],
  [
    'an empty value from a variable',
    config().replace('host: dst', 'host: "${EMPTY}"'),
    'config.yaml:10:15: channels[0].targets[0].host: is empty; give a value',
  ],
  [
    'workers 0',
    config({ target: 'workers: 0' }),
    'config.yaml:13:18: channels[0].targets[0].workers: 0 is not from 1 to 64',
  ],
  [
    'workers 65',
    config({ target: 'workers: 65' }),
    'config.yaml:13:18: channels[0].targets[0].workers: 65 is not from 1 to 64',
  ],
  [
    'half a worker',
    config({ target: 'workers: 1.5' }),
    'config.yaml:13:18: channels[0].targets[0].workers: expected a whole number from 1 to 64',
  ],
  [
    'an unknown mode',
    config({ target: 'mode: binlogs' }),
    'config.yaml:13:15: channels[0].targets[0].mode: expected one of auto, binlog, sql; got "binlogs"; did you mean binlog?',
  ],
  [
    'an unknown progress',
    config({ target: 'progress: file' }),
    'config.yaml:13:19: channels[0].targets[0].progress: expected one of auto, gtid, table; got "file"',
  ],
  [
    'an unknown commit order',
    config({ target: 'commit_order: none' }),
    'config.yaml:13:23: channels[0].targets[0].commit_order: expected one of source, window, any; got "none"',
  ],
  [
    'an unknown TLS mode',
    config({ source: 'tls: yes' }),
    'config.yaml:4:70: channels[0].source.tls: expected one of disabled, preferred, required, verify_ca, verify_identity; got "yes"',
  ],
  [
    'half a client certificate',
    config({ source: 'tls: { cert: config.yaml }' }),
    'config.yaml:4:70: channels[0].source.tls: cert and key belong together; give both or none',
  ],
  [
    'a CA without TLS',
    config({ source: 'tls: { mode: disabled, ca: config.yaml }' }),
    'config.yaml:4:78: channels[0].source.tls.mode: TLS is disabled, yet ca, cert or key is given; choose another mode or remove them',
  ],
  [
    'a CA that is not there',
    config({ source: 'tls: { mode: verify_ca, ca: nowhere.pem }' }),
    'config.yaml:4:93: channels[0].source.tls.ca: nowhere.pem: no such file',
  ],
  [
    'a size without a unit',
    config({ relay: 'max_file_size: 1024' }),
    'config.yaml:7:33: channels[0].relay_log.max_file_size: 1024 has no unit; write a size like 64MiB, for example 1024MiB',
  ],
  [
    'a size too small',
    config({ relay: 'max_file_size: 4095B' }),
    'config.yaml:7:33: channels[0].relay_log.max_file_size: 4095B is not from 4KiB to 1TiB',
  ],
  [
    'a duration without a unit',
    config({ relay: 'retention: 24' }),
    'config.yaml:7:29: channels[0].relay_log.retention: 24 has no unit; write a duration like 30s (ms, s, m, h, d), for example 24s',
  ],
  [
    'an unknown unit',
    config({ relay: 'sync: 100us' }),
    'config.yaml:7:24: channels[0].relay_log.sync: unknown unit us; write a duration like 30s (ms, s, m, h, d)',
  ],
  [
    'a heartbeat too short',
    config({ source: 'heartbeat: 1ms' }),
    'config.yaml:4:76: channels[0].source.heartbeat: 1ms is not from 100ms to 1h',
  ],
  [
    'a server id out of range',
    config({ source: 'server_id: 4294967296' }),
    'config.yaml:4:76: channels[0].source.server_id: 4294967296 is not from 1 to 4294967295',
  ],
  [
    'a start that is neither',
    config({ source: 'start: now' }),
    'config.yaml:4:72: channels[0].source.start: expected auto, { gtid_set: … } or { file: …, position: … }',
  ],
  [
    'a GTID set that is none',
    config({ source: 'start: { gtid_set: "abc:1" }' }),
    'config.yaml:4:84: channels[0].source.start.gtid_set: is no GTID set; expected uuid:1-5,… of MySQL or domain-server-sequence,… of MariaDB',
  ],
  [
    'a start file without its number',
    config({ source: 'start: { file: binlog, position: 4 }' }),
    'config.yaml:4:80: channels[0].source.start.file: expected the name of a binary log file, like binlog.000042',
  ],
  [
    'a start file with a path',
    config({ source: 'start: { file: ../binlog.000001, position: 4 }' }),
    'config.yaml:4:80: channels[0].source.start.file: expected the name of a binary log file, like binlog.000042',
  ],
  [
    'a start without its position',
    config({ source: 'start: { file: binlog.000001 }' }),
    'config.yaml:4:72: channels[0].source.start.position: missing',
  ],
  [
    'two channels of one name',
    `${config()}  - name: Shop\n    source: { host: a, user: u, password: p }\n    targets: [{ name: t, host: b, user: u, password: p }]\n`,
    'config.yaml:13:11: channels[1].name: channels[0] has the same name; channels need different names',
  ],
  [
    'two targets of one name',
    config({ target: '', tail: '      - { name: standby, host: dst2, user: u, password: p }\n' }),
    'config.yaml:13:17: channels[0].targets[1].name: targets[0] has the same name; targets need different names',
  ],
  [
    'one server as two targets',
    config({ target: '', tail: '      - { name: other, host: DST, user: u, password: p }\n' }),
    'config.yaml:13:30: channels[0].targets[1].host: targets[0] is the same server dst:3306',
  ],
  [
    'a server that is its own target',
    config().replace('host: dst', 'host: src'),
    "config.yaml:10:15: channels[0].targets[0].host: src:3306 is this channel's source; a server cannot be its own target",
  ],
  [
    'localhost by two names',
    config().replace('host: dst', 'host: localhost').replace('host: src', 'host: 127.0.0.1'),
    "config.yaml:10:15: channels[0].targets[0].host: 127.0.0.1:3306 is this channel's source; a server cannot be its own target",
  ],
  [
    'a name that is a path',
    config().replace('name: shop', 'name: ../shop'),
    'config.yaml:3:11: channels[0].name: a name has up to 64 letters, digits, dots, dashes and underscores, and begins with a letter or digit',
  ],
  [
    'a name of our own files',
    config().replace('name: shop', 'name: millrace.sock'),
    'config.yaml:3:11: channels[0].name: millrace.sock is a name that Millrace uses itself in data_dir; choose another',
  ],
  [
    'a key twice',
    config({ target: 'user: apply' }),
    'config.yaml:13:9: channels[0].targets[0].user: the same key stands twice; keep one',
  ],
  [
    'an alias',
    config().replace('"y"', '*pw'),
    'config.yaml:12:19: channels[0].targets[0].password: YAML aliases are not used here; if this is text, put it in quotes',
  ],
  [
    'a tag',
    config().replace('"y"', '!secret y'),
    'config.yaml:12:19: channels[0].targets[0].password: YAML tags are not used here; if this is text, put it in quotes',
  ],
  [
    'two documents',
    `${config()}---\ndata_dir: x\n`,
    'config.yaml:13:1: the file holds several YAML documents; keep one',
  ],
  [
    'a tab as indent',
    'data_dir: d\nchannels:\n\t- name: x\n',
    'config.yaml:3:1: indent with spaces, not with tabs',
  ],
  [
    'a bracket that is not closed',
    'data_dir: d\nchannels: [\n',
    'config.yaml:3:1: not valid YAML here; text with special characters belongs in quotes',
  ],
  [
    'several transactions in a commit without progress in a table',
    config({ target: 'coalesce: 2' }),
    'config.yaml:13:19: channels[0].targets[0].coalesce: more than 1 transaction in a commit gives up their GTIDs: it needs progress: table',
  ],
];

const NOT_YET: readonly (readonly [what: string, text: string, line: string])[] = [
  [
    'mode sql',
    config({ target: 'mode: sql' }),
    'config.yaml:13:15: channels[0].targets[0].mode: mode sql is not in this version; use auto or binlog',
  ],
];

describe('a configuration that is wrong', () => {
  test.each(BAD)('%s is one error at its place', (_what, text, line) => {
    expect(problems(text)).toEqual([line]);
    expect(() => loadConfig(join(folder, 'config.yaml'), ENV)).toThrow(
      expect.objectContaining({ code: 'CONFIG' }),
    );
  });

  test.each(NOT_YET)('%s is refused as not in this version', (_what, text, line) => {
    expect(problems(text)).toEqual([line]);
    expect(() => loadConfig(join(folder, 'config.yaml'), ENV)).toThrow(
      expect.objectContaining({ code: 'NOT_IN_THIS_VERSION' }),
    );
  });

  test('all problems are found at once, in the order of the file, and the message counts the rest', () => {
    const text = config({ source: 'server_id: 0', relay: 'sync: 5', target: 'workers: x' });
    expect(problems(text).map((line) => line.split(':')[1])).toEqual(['4', '7', '13']);
    expect(() => loadConfig(join(folder, 'config.yaml'), ENV)).toThrow(
      /config\.yaml:4:76: channels\[0\]\.source\.server_id: 0 is not from 1 to 4294967295 \(and 2 more: `millrace check` lists all\)$/,
    );
  });

  test('a bomb of aliases is refused before anything is unfolded', () => {
    let text = 'a0: &a0 [x, x, x, x, x, x, x, x, x]\n';
    for (let depth = 1; depth < 30; depth++) {
      const one = `*a${depth - 1}`;
      text += `a${depth}: &a${depth} [${Array(9).fill(one).join(', ')}]\n`;
    }
    const begin = Date.now();
    expect(problems(text)[0]).toBe(
      'config.yaml:2:10: a1[0]: YAML aliases are not used here; if this is text, put it in quotes',
    );
    expect(Date.now() - begin).toBeLessThan(2000);
  });

  test.each([
    ['is not there', 'nowhere.yaml', /nowhere\.yaml: no such file/],
    ['is a folder', '.', /: is a folder, not a file/],
  ])('a file that %s is named, with the remedy', (_what, name, message) => {
    expect(() => loadConfig(join(folder, name), {})).toThrow(message);
    expect(() => loadConfig(join(folder, name), {})).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('-c FILE') }),
    );
  });

  test('a file that is no text, or too large, is refused', () => {
    writeFileSync(join(folder, 'binary.yaml'), Buffer.from([0xfe, 0x62, 0x69, 0x6e]));
    expect(() => loadConfig(join(folder, 'binary.yaml'), {})).toThrow(/binary\.yaml: is not UTF-8 text/);
    writeFileSync(join(folder, 'large.yaml'), Buffer.alloc(1024 * 1024 + 1, 0x20));
    expect(() => loadConfig(join(folder, 'large.yaml'), {})).toThrow(/large\.yaml: larger than 1 MiB/);
  });

  test('no text at all makes the loader do anything but answer or list problems', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'data_dir: [{}]&*!|>-\n\t"\'#$ab') })),
        (text) => {
          const result = readConfig(write(text, 'fuzzed.yaml'), {});
          expect(result.ok || result.problems.length > 0).toBe(true);
          if (!result.ok) {
            for (const { line, column } of result.problems) expect(line >= 1 && column >= 1).toBe(true);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
