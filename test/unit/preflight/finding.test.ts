import { describe, expect, test } from 'vitest';
import { refusalsOf } from '../../../src/channel/start-check.ts';
import { renderFindings, summaryText } from '../../../src/cli/render-findings.ts';
import { asPlainError, Findings, forbidsStart } from '../../../src/preflight/finding.ts';
import {
  accountLiteral,
  grantRemedy,
  type RemedyServer,
  setRemedy,
  shellWord,
  yamlRemedy,
} from '../../../src/preflight/remedy.ts';

const SERVER: RemedyServer = {
  on: 'target',
  address: '10.0.0.2:3306',
  flavour: 'mysql',
  versionNumber: 90704,
  account: { user: "o'hara", host: '10.0.0.%' },
};

describe('a remedy', () => {
  test('names the account as it is, and leaves no GTID behind', () => {
    expect(accountLiteral(SERVER.account)).toBe("'o''hara'@'10.0.0.%'");
    expect(grantRemedy(SERVER, ['REPLICATION_APPLIER'])).toEqual({
      on: 'target',
      form: 'sql',
      where: '10.0.0.2:3306',
      text: [
        'SET SESSION sql_log_bin = 0;',
        "GRANT REPLICATION_APPLIER ON *.* TO 'o''hara'@'10.0.0.%';",
        'SET SESSION sql_log_bin = 1;',
      ].join('\n'),
    });
  });

  test('lasts where the server can make it last', () => {
    expect(setRemedy(SERVER, ['sync_binlog', '1']).text).toBe('SET PERSIST sync_binlog = 1;');
    const old = { ...SERVER, versionNumber: 50744 };
    expect(setRemedy(old, ['sync_binlog', '1']).text).toBe('SET GLOBAL sync_binlog = 1;');
    const mariadb = { ...SERVER, flavour: 'mariadb' as const };
    expect(setRemedy(mariadb, ['sync_binlog', '1']).text).toBe('SET GLOBAL sync_binlog = 1;');
  });

  test('for a shell is one word, whatever the path', () => {
    expect(shellWord('/var/lib/millrace')).toBe('/var/lib/millrace');
    expect(shellWord("/it's $HOME")).toBe("'/it'\\''s $HOME'");
  });
});

describe('an error that is found', () => {
  const found = new Findings('target standby');
  found.error('read_only', 'TARGET_READ_ONLY', 'the target is read-only');
  found.error('progress', 'TARGET_CONFIG', 'progress: gtid cannot be kept', {
    remedy: yamlRemedy('channels[a].targets[standby]', 'progress: table'),
    advice: 'Or set gtid_mode.',
  });
  found.warning('sql_mode', 'differs');
  const [readOnly, progress] = found.all;

  test('keeps a target from starting only when it does not pass by itself', () => {
    expect(found.all.map(forbidsStart)).toEqual([false, true, false]);
    expect(refusalsOf([readOnly!], ['standby'], true).targets).toEqual([null]);
    const refused = refusalsOf(found.all, ['other', 'standby'], true);
    expect(refused.source).toBeNull();
    expect(refused.targets[0]).toBeNull();
    expect(refused.targets[1]).toEqual(asPlainError(progress!));
  });

  test('becomes the error of the channel, with the remedy in its hint', () => {
    expect(asPlainError(progress!)).toEqual({
      code: 'TARGET_CONFIG',
      action: 'stop',
      message: 'progress: gtid cannot be kept',
      hint: 'in the configuration, channels[a].targets[standby]: progress: table — Or set gtid_mode.',
      facts: { check: 'progress' },
    });
  });

  test('of the source is left to the reader while the relay log holds something to apply', () => {
    const source = new Findings('source');
    source.error('log_bin', 'SOURCE_CONFIG', 'writes no binary log');
    expect(refusalsOf(source.all, [], true).source).toMatchObject({ code: 'SOURCE_CONFIG' });
    expect(refusalsOf(source.all, [], false).source).toBeNull();
  });
});

test('findings are printed by subject, with what to paste below, and no control characters', () => {
  const source = new Findings('source');
  source.ok('log_bin', 'writes a binary log');
  source.skipped('tables', 'sees\u001b[2J none');
  source.error('replication_privilege', 'PRIVILEGE_MISSING', 'may not\nreplicate', {
    remedy: { on: 'source', form: 'sql', where: '10.0.0.1:3306', text: 'GRANT a;\nGRANT b;' },
    advice: 'Or not.',
  });
  expect(renderFindings('channel a', source.all, false)).toBe(`
channel a
 source
  ok       log_bin                writes a binary log
  skipped  tables                 sees [2J none
  error    replication_privilege  may not replicate
           paste on the source 10.0.0.1:3306:
             GRANT a;
             GRANT b;
           Or not.
           see docs/errors.md#PRIVILEGE_MISSING
`);
  expect(summaryText(source.all)).toBe('1 ok, 1 skipped, no warnings, 1 error');
});
