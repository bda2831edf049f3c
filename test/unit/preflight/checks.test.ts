/**
 * The checks as pure functions: what no test server can be brought to (a line to another machine, a wrong clock, a full disk,
 * a version from another decade). What servers can be brought to is in test/scenario/check-*.test.ts.
 */
import { hostname } from 'node:os';
import { describe, expect, test } from 'vitest';
import { parsePositionSet } from '../../../src/binlog/position-set.ts';
import { AccountGrants } from '../../../src/preflight/account-grants.ts';
import { type ChannelFacts, targetFactsOf } from '../../../src/preflight/channel-facts.ts';
import { checkConnection, checkTls } from '../../../src/preflight/connection-checks.ts';
import { type Finding, Findings } from '../../../src/preflight/finding.ts';
import { checkHistory, checkStartKind } from '../../../src/preflight/history-checks.ts';
import { checkClock, checkDisk } from '../../../src/preflight/host-checks.ts';
import { checkPrivileges } from '../../../src/preflight/privilege-checks.ts';
import { concernsSchema } from '../../../src/preflight/replicated-schemas.ts';
import type { ServerSurvey } from '../../../src/preflight/server-survey.ts';
import { checkSettings } from '../../../src/preflight/setting-checks.ts';
import { checkSource } from '../../../src/preflight/source-checks.ts';
import type { SourceSurvey } from '../../../src/preflight/source-survey.ts';
import { checkTarget } from '../../../src/preflight/target-checks.ts';
import type { Flavour } from '../../../src/wire/connection.ts';
import {
  type ChannelWish,
  channelFacts,
  denied,
  endpoint,
  NOW_MS,
  SOURCE_UUID,
  sourceSurvey,
  TARGET_UUID,
  targetSurvey,
  withVariables,
} from './surveys.ts';

function findings(check: (found: Findings) => void): Finding[] {
  const found = new Findings('x');
  check(found);
  return found.all;
}

/** The one of this noun. */
function one(all: readonly Finding[], id: string): Finding {
  const found = all.filter((finding) => finding.id === id);
  expect(found).toHaveLength(1);
  return found[0]!;
}

/** Everything that is said about the pair. */
function look(wish: ChannelWish = {}): Finding[] {
  const facts = channelFacts(wish);
  return lookAt(facts);
}

function lookAt(facts: ChannelFacts): Finding[] {
  const target = targetFactsOf(facts, facts.targets[0]!)!;
  return findings((found) => {
    if (facts.source.ok) checkSource(found, facts, facts.source.is);
    if (!checkTarget(found, target)) return;
    checkHistory(found, target);
    checkPrivileges(found, target);
    checkSettings(found, target);
  });
}

test('of a healthy pair nothing is wrong', () => {
  expect(look().filter(({ level }) => level !== 'ok')).toEqual([]);
});

describe('the line to a server', () => {
  const tls = { protocol: 'TLSv1.3', certificateEndsMs: null };
  const line = (host: string, mode: Parameters<typeof endpoint>[1], encrypted: boolean): Finding =>
    one(
      findings((found) =>
        checkTls(found, 'channels[shop].source', endpoint(host, mode), encrypted ? tls : null),
      ),
      'tls',
    );

  test('within this machine may be in clear', () => {
    for (const host of ['127.0.0.1', 'localhost', '::1', '127.1.2.3']) {
      expect(line(host, 'preferred', false).level).toBe('ok');
    }
    expect(line('127.example.com', 'preferred', false).level).toBe('warning');
  });

  test('to another machine may not, and preferred is not enough', () => {
    expect(line('10.0.0.1', 'disabled', false)).toMatchObject({
      level: 'warning',
      remedy: { on: 'config', form: 'yaml', where: 'channels[shop].source', text: 'tls: required' },
    });
    expect(line('10.0.0.1', 'preferred', false)).toMatchObject({ level: 'warning', remedy: null });
    expect(line('10.0.0.1', 'preferred', true)).toMatchObject({
      level: 'warning',
      remedy: { text: 'tls: required' },
    });
    expect(line('10.0.0.1', 'required', true).level).toBe('ok');
    expect(line('10.0.0.1', 'verify_identity', true).message).toContain('checked (verify_identity)');
  });

  test('whose certificate ends soon is told while there is time', () => {
    const server = sourceSurvey({ tls: { protocol: 'TLSv1.3', certificateEndsMs: NOW_MS + 3 * 86_400_000 } });
    const all = findings((found) => checkConnection(found, 'x', endpoint('db1', 'required'), server, NOW_MS));
    expect(one(all, 'certificate')).toMatchObject({
      level: 'warning',
      message: "the server's certificate ends on 2026-06-04, in 3 days",
      remedy: { text: 'ALTER INSTANCE RELOAD TLS;' },
    });
  });
});

describe('clocks', () => {
  const clock = (clockDiffMs: number | null, clockErrorMs = 1): Finding =>
    one(
      findings((found) => checkClock(found, sourceSurvey({ clockDiffMs, clockErrorMs }))),
      'clock',
    );

  test('that differ by more than a second are told, with the direction', () => {
    expect(clock(900).level).toBe('ok');
    expect(clock(-61_000)).toMatchObject({ level: 'warning' });
    expect(clock(-61_000).message).toMatch(
      /^its clock is 61\.0 s behind ours: .* Lag and delay go by neither$/,
    );
    expect(clock(2_500).message).toMatch(/2\.5 s ahead of ours/);
  });

  test('that a slow answer may explain are not', () => {
    expect(clock(2_500, 1_600).level).toBe('ok');
  });

  test('that cannot be read are not called right', () => {
    expect(clock(null)).toMatchObject({ level: 'ok', skipped: true });
  });
});

describe('the disk', () => {
  const disk = (bytes: number, seconds: number, retention: string): Finding => {
    const source = sourceSurvey({ rate: { bytes, seconds } });
    const facts = channelFacts({ source, yaml: { channel: `    relay_log: { retention: ${retention} }\n` } });
    return one(
      findings((found) => checkDisk(found, facts)),
      'disk',
    );
  };

  test('that holds what delay and retention keep is large enough', () => {
    expect(disk(1024 * 1024, 3600, '24h')).toMatchObject({ level: 'ok', skipped: false });
  });

  test('that does not is told with a retention that fits', () => {
    const finding = disk(1e15, 3600, '3650d');
    expect(finding.level).toBe('warning');
    expect(finding.message).toMatch(/free, and .* needed: the source writes .* an hour \(over 60 min\)/);
    const small = disk(1e10, 3600, '3650d');
    expect(small.remedy).toMatchObject({ on: 'config', where: 'channels[shop].relay_log' });
    expect(small.remedy?.text).toMatch(/^retention: \d+(d|h|m)$/);
  });

  test('is not judged without a pace', () => {
    const facts = channelFacts({ source: sourceSurvey({ binaryLogs: null }) });
    const finding = one(
      findings((found) => checkDisk(found, facts)),
      'disk',
    );
    expect(finding).toMatchObject({ level: 'ok', skipped: true });
    expect(finding.message).toContain('may not list its binary logs');
  });
});

describe('history', () => {
  test('a relay log that holds what the source has deleted is not called a hole', () => {
    const source = sourceSurvey({ purged: `${SOURCE_UUID}:1-95` });
    expect(one(look({ source }), 'history')).toMatchObject({ level: 'error', code: 'SOURCE_PURGED' });
    const retrieved = parsePositionSet('gtid', `${SOURCE_UUID}:1-95`);
    expect(one(look({ source, relay: { files: 1, retrieved } }), 'history').level).toBe('ok');
    const older = parsePositionSet('gtid', `${SOURCE_UUID}:1-92`);
    expect(one(look({ source, relay: { files: 1, retrieved: older } }), 'history')).toMatchObject({
      level: 'ok',
      skipped: true,
    });
  });

  test('what a source.start says the target has counts', () => {
    const source = sourceSurvey({ purged: `${SOURCE_UUID}:1-95` });
    const yaml = { source: `, start: { gtid_set: "${SOURCE_UUID}:1-95" }` };
    expect(one(look({ source, yaml }), 'history').level).toBe('ok');
  });

  test('transactions of the source that the source has not are its lost tail, others are errant', () => {
    const ahead = targetSurvey({ executed: `${SOURCE_UUID}:1-101` });
    expect(one(look({ target: ahead }), 'history')).toMatchObject({ level: 'error', code: 'SOURCE_BEHIND' });
    const errant = targetSurvey({ executed: `${SOURCE_UUID}:1-90,${TARGET_UUID}:1-2` });
    const finding = one(look({ target: errant }), 'errant_gtids');
    expect(finding).toMatchObject({ level: 'warning' });
    expect(finding.message).toContain('made on the target itself');
    expect(finding.remedy?.text).toBe(
      [
        `SET GTID_NEXT = '${TARGET_UUID}:1';`,
        'BEGIN;',
        'COMMIT;',
        `SET GTID_NEXT = '${TARGET_UUID}:2';`,
        'BEGIN;',
        'COMMIT;',
        "SET GTID_NEXT = 'AUTOMATIC';",
      ].join('\n'),
    );
    const many = targetSurvey({ executed: `${TARGET_UUID}:1-1000` });
    expect(one(look({ target: many }), 'errant_gtids').remedy).toBeNull();
  });
});

describe('what a delay needs', () => {
  const delayed = (
    delayMs: number,
    change: Record<string, string> = {},
    rate = { bytes: 1e10, seconds: 3600 },
  ) => {
    const facts = channelFacts({ source: withVariables(sourceSurvey({ rate }), change) });
    const targets = facts.config.targets.map((target) => ({ ...target, delayMs }));
    return { ...facts, config: { ...facts.config, targets } };
  };
  const DAY_MS = 86_400_000;

  test('the source must keep its binary logs for longer than that', () => {
    const kept = { binlog_expire_logs_seconds: '172800' };
    expect(one(lookAt(delayed(DAY_MS, kept)), 'binlog_expiry').level).toBe('ok');
    const finding = one(lookAt(delayed(3 * DAY_MS, kept)), 'binlog_expiry');
    expect(finding).toMatchObject({ level: 'warning' });
    expect(finding.message).toContain('less than the delay of 3d');
    expect(finding.remedy?.text).toBe('SET PERSIST binlog_expire_logs_seconds = 345600;');
    const byDays = { binlog_expire_logs_seconds: '0', expire_logs_days: '2' };
    expect(one(lookAt(delayed(3 * DAY_MS, byDays)), 'binlog_expiry').remedy?.text).toBe(
      'SET PERSIST expire_logs_days = 0;\nSET PERSIST binlog_expire_logs_seconds = 345600;',
    );
    const forEver = { ...kept, binlog_expire_logs_auto_purge: 'OFF' };
    expect(one(lookAt(delayed(3 * DAY_MS, forEver)), 'binlog_expiry').level).toBe('ok');
  });

  test('and the disk must hold it beside the retention', () => {
    const all = findings((found) => checkDisk(found, delayed(3650 * DAY_MS)));
    expect(one(all, 'disk')).toMatchObject({ level: 'warning', remedy: null });
    expect(one(all, 'disk').advice).toContain('The delay alone needs more');
  });
});

describe('what the source leaves out of its binary log', () => {
  const seen = (change: Partial<SourceSurvey>, variables: Record<string, string> = {}): Finding[] =>
    look({ source: withVariables(sourceSurvey(change), variables) });
  const channel = { name: '', sourceUuid: null, sourceServerId: 9, applies: true };

  test('by its own filters is warned of', () => {
    const filters = { doDb: 'shop,crm', ignoreDb: 'tmp' };
    const found = one(seen({ binlogFilters: filters }), 'binlog_filters');
    expect(found).toMatchObject({ level: 'warning' });
    expect(found.message).toMatch(/^binlog_do_db=shop,crm and binlog_ignore_db=tmp: the source leaves/);
    expect(found.advice).toContain('option file');
    expect(one(seen({}), 'binlog_filters').level).toBe('ok');
    expect(one(seen({ binlogFilters: null }), 'binlog_filters')).toMatchObject({
      level: 'ok',
      skipped: true,
    });
  });

  test.each(['log_replica_updates', 'log_slave_updates'])('as a replica (%s) is warned of', (name) => {
    const off = { [name]: 'OFF' };
    expect(one(seen({ nativeChannels: [channel] }, off), name)).toMatchObject({
      level: 'warning',
      remedy: { form: 'option_file', text: `[mysqld]\n${name} = ON` },
    });
    expect(one(seen({ nativeChannels: [] }, off), name)).toMatchObject({ level: 'ok', skipped: false });
    expect(one(seen({ nativeChannels: null }, off), name)).toMatchObject({ level: 'ok', skipped: true });
    expect(one(seen({ nativeChannels: [channel] }, { [name]: 'ON' }), name).level).toBe('ok');
  });
});

describe('a remedy fits the version', () => {
  const on = <Survey extends ServerSurvey>(
    survey: Survey,
    flavour: Flavour,
    versionNumber: number,
  ): Survey => ({
    ...survey,
    flavour,
    versionNumber,
  });
  const grants = AccountGrants.parse(['GRANT USAGE ON *.* TO `target`@`%`']);

  test.each<[Flavour, number, monitor: string, settings: string, rows: string]>([
    ['mysql', 90704, 'REPLICATION CLIENT', 'SESSION_VARIABLES_ADMIN', 'REPLICATION_APPLIER'],
    ['mysql', 80011, 'REPLICATION CLIENT', 'SYSTEM_VARIABLES_ADMIN', 'BINLOG_ADMIN'],
    ['mysql', 50744, 'REPLICATION CLIENT', 'SUPER', 'SUPER'],
    ['mariadb', 101118, 'BINLOG MONITOR', 'BINLOG REPLAY', 'BINLOG REPLAY'],
    ['mariadb', 100432, 'REPLICATION CLIENT', 'SUPER', 'SUPER'],
  ])('%s %i', (flavour, version, monitor, settings, rows) => {
    const source = on(sourceSurvey({ binaryLogs: null }), flavour, version);
    const sourceFindings = findings((found) => checkSource(found, channelFacts({ source }), source));
    expect(one(sourceFindings, 'monitor_privilege').remedy?.text).toContain(`GRANT ${monitor} ON`);
    const sessionSettings = new Map([['pseudo_thread_id', denied()]]);
    const target = on(targetSurvey({ sessionSettings, rowEvents: denied(), grants }), flavour, version);
    const facts = channelFacts({ target });
    const targetFindings = findings((found) =>
      checkPrivileges(found, targetFactsOf(facts, facts.targets[0]!)!),
    );
    expect(one(targetFindings, 'session_settings').remedy?.text).toContain(`GRANT ${settings} ON`);
    expect(one(targetFindings, 'row_events').remedy?.text).toContain(`GRANT ${rows} ON`);
  });

  test.each([
    ['NO_LOCK', 'GRANT READ_ONLY ADMIN ON *.*'],
    ['NO_LOCK_NO_ADMIN', 'SET GLOBAL read_only = ON;'],
  ])('read_only=%s of MariaDB is not OFF', (value, remedy) => {
    const writable = denied();
    const target = on(targetSurvey({ writable, grants }), 'mariadb', 120000);
    const facts = channelFacts({ target: withVariables(target, { read_only: value }) });
    const found = one(
      findings((all) => checkPrivileges(all, targetFactsOf(facts, facts.targets[0]!)!)),
      'read_only',
    );
    expect(found).toMatchObject({ level: 'error', code: 'TARGET_READ_ONLY' });
    expect(found.message).toContain(`read_only=${value}`);
    expect(found.remedy?.text).toContain(remedy);
  });
});

describe('our identity', () => {
  const UUID = '5e6a7b80-0000-4000-8000-00000000beef';
  const among = (host: string, change: Partial<ChannelFacts> = {}): Finding[] =>
    lookAt({
      ...channelFacts({ source: sourceSurvey({ replicas: [{ serverId: 7, uuid: UUID, host }] }) }),
      replicaUuid: UUID,
      ...change,
    });

  test('that another machine presents was copied; our own entry of before is none', () => {
    expect(one(among('elsewhere'), 'identity')).toMatchObject({
      level: 'warning',
      remedy: { on: 'host', form: 'shell', text: expect.stringMatching(/^rm .*identity$/) },
    });
    expect(one(among(hostname()), 'identity').level).toBe('ok');
  });

  test('is not asked for while Millrace runs, or before a start', () => {
    for (const change of [{ runningPid: 4711 }, { thorough: false }]) {
      expect(among('elsewhere', change).filter(({ id }) => id === 'identity')).toEqual([]);
    }
  });
});

test('a source.start of the other flavour is told, and nothing is made of it', () => {
  const facts = channelFacts({ yaml: { source: ', start: { gtid_set: "0-1-100" }' } });
  const source = sourceSurvey();
  const all = findings((found) => checkStartKind(found, facts, source));
  expect(one(all, 'start')).toMatchObject({ level: 'error', code: 'MALFORMED_POSITION' });
  expect(lookAt(facts).filter(({ id }) => id === 'history')).toEqual([]);
});

describe('versions', () => {
  test('a target older than the source is told; one that is newer is fine, whatever the number', () => {
    const at = (version: string, versionNumber: number) => targetSurvey({ version, versionNumber });
    expect(one(look({ target: at('8.4.3', 80403) }), 'version').level).toBe('warning');
    expect(one(look({ target: at('26.10.1', 261001) }), 'version').level).toBe('ok');
    expect(one(look({ target: at('8.4.3', 80403) }), 'foreign_keys').message).toContain(
      'without the target cascading',
    );
  });

  test('the privilege that is asked for is the one that the version has', () => {
    const old = (versionNumber: number) =>
      look({ target: targetSurvey({ versionNumber, rowEvents: denied(), gtidNext: denied() }) });
    expect(one(old(90704), 'row_events').remedy?.text).toContain('GRANT REPLICATION_APPLIER ');
    expect(one(old(50744), 'row_events').remedy?.text).toContain('GRANT SUPER ');
    expect(one(old(50744), 'gtid_next').remedy?.text).toContain('GRANT SUPER ');
  });
});

describe('settings', () => {
  test('sql_mode of a version that has fewer modes does not differ for them', () => {
    const source = withVariables(sourceSurvey(), {
      sql_mode: 'STRICT_TRANS_TABLES,NO_AUTO_CREATE_USER',
    });
    expect(one(look({ source }), 'sql_mode').level).toBe('ok');
  });

  test('names that differ in case are told, and that it cannot be changed any more', () => {
    const target = withVariables(targetSurvey(), { lower_case_table_names: '1' });
    expect(one(look({ target }), 'lower_case_table_names')).toMatchObject({ level: 'warning', remedy: null });
  });

  test('a server that was copied with its identity is told from the source itself', () => {
    const copied = targetSurvey({ serverUuid: SOURCE_UUID });
    expect(one(look({ target: copied }), 'same_server')).toMatchObject({ level: 'warning' });
    const itself = withVariables(targetSurvey({ serverUuid: SOURCE_UUID }), {
      hostname: 'db1',
      server_id: '1',
    });
    expect(one(look({ target: itself }), 'same_server')).toMatchObject({ level: 'error', code: 'CONFIG' });
  });

  test('a channel that goes from the table to GTIDs with what it has applied uncounted is stopped', () => {
    const rows = [{ kind: 'gtid', executed: `${SOURCE_UUID}:1-95` }];
    const target = targetSurvey({
      progress: { tablesExist: true, write: { ok: true, rows: [] }, rows },
      executed: `${TARGET_UUID}:1`,
    });
    const finding = one(look({ target }), 'progress');
    expect(finding).toMatchObject({
      level: 'error',
      code: 'TARGET_CONFIG',
      remedy: { text: 'progress: table' },
    });
    const reloaded = { ...target, executed: `${SOURCE_UUID}:1-99` };
    expect(one(look({ target: reloaded }), 'progress').level).toBe('ok');
    const strangers = {
      ...target,
      progress: { ...target.progress, rows: [{ kind: 'gtid', executed: `${TARGET_UUID}:1-5` }] },
    };
    expect(one(look({ target: strangers }), 'progress').level).toBe('ok');
  });
});

test('a schema that the lists of databases leave out is not looked at', () => {
  expect(concernsSchema({ doDb: [], ignoreDb: ['tmp'] }, 'tmp')).toBe(false);
  expect(concernsSchema({ doDb: ['shop'], ignoreDb: [] }, 'shop')).toBe(true);
  expect(concernsSchema({ doDb: ['shop'], ignoreDb: [] }, 'blog')).toBe(false);
  expect(concernsSchema({ doDb: ['shop'], ignoreDb: [] }, 'shop_dr', [{ from: 'shop', to: 'shop_dr' }])).toBe(
    true,
  );
});
