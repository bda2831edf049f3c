/**
 * The operators' verbs as they are typed, each followed by kill -9 as soon as it has answered: what was said holds in the next
 * process, until it is taken back.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createSourceAccount, createTargetAccount } from '../support/accounts.ts';
import { waitUntilCaughtUp } from '../support/catching-up.ts';
import { executedSet } from '../support/equality.ts';
import { lastTransaction } from '../support/last-transaction.ts';
import {
  address,
  type ChannelStatus,
  type ConfigMap,
  channelConfig,
  MillraceProcess,
  type TargetStatus,
} from '../support/millrace-process.ts';
import { startServer, type TestServer } from '../support/test-server.ts';
import { until } from '../support/waiting.ts';

const KINDS = [
  ['MySQL, progress gtid', 'mysql', 'gtid'],
  ['MySQL, progress table', 'mysql', 'table'],
  ['MariaDB, progress table', 'mariadb', 'table'],
] as const;

vi.setConfig({ testTimeout: 400_000 });

describe.each(KINDS)('%s', (_what, flavour, progress) => {
  let source: TestServer;
  let target: TestServer;
  let millrace: MillraceProcess;
  let channel: ConfigMap;
  let nextRow = 1;

  beforeAll(async () => {
    [source, target] = await Promise.all([
      startServer({ flavour, name: 'source' }),
      startServer({ flavour, name: 'target' }),
    ]);
    const from = await createSourceAccount(source);
    const to = await createTargetAccount(target);
    channel = channelConfig({
      source: { ...address(source), ...from },
      target: { ...address(target), ...to, progress },
    });
    millrace = MillraceProcess.prepare([channel]);
    await millrace.start();
    await source.query('CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)');
    await caughtUp();
  });

  afterAll(async () => {
    await millrace?.remove();
    await Promise.all([source?.stop(), target?.stop()]);
  });

  const caughtUp = (): Promise<void> => waitUntilCaughtUp(source, target, { millrace, progress });

  async function says(...words: readonly string[]): Promise<string> {
    const [verb = '', ...args] = words;
    const { code, stdout, stderr } = await millrace.command(verb, args);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    return stdout.trim();
  }

  /** As soon as the verb has answered, Millrace is killed and started. */
  async function said(...words: readonly string[]): Promise<string> {
    const answer = await says(...words);
    await millrace.kill9();
    await millrace.start();
    return answer;
  }

  async function refused(...words: readonly string[]): Promise<string> {
    const [verb = '', ...args] = words;
    const { code, stdout, stderr } = await millrace.command(verb, args);
    expect(stdout).toBe('');
    expect([1, 2]).toContain(code);
    return stderr.trim();
  }

  const standby = (each: ChannelStatus): TargetStatus => each.targets[0]!;

  /** One row on the source, in a transaction of its own: its number, and the transaction's name. */
  async function row(): Promise<{ readonly n: number; readonly id: string }> {
    const n = nextRow++;
    await source.query(`INSERT INTO shop.t VALUES (${n})`);
    return { n, id: await lastTransaction(source) };
  }

  async function onTarget(): Promise<number[]> {
    const rows = await target.query('SELECT id FROM shop.t ORDER BY id');
    return rows.map(({ id }) => Number(id));
  }

  test('pause and resume of the target', async () => {
    expect(await said('pause', 'standby')).toBe('standby is paused; millrace resume standby goes on');
    const { n, id } = await row();
    const paused = await millrace.waitFor('it waits', (each) => standby(each).waiting?.next_id === id);
    expect(paused).toMatchObject({
      state: 'degraded',
      reason: 'target standby: paused; millrace resume standby goes on',
    });
    expect(standby(paused)).toMatchObject({ state: 'paused', waiting: { next_due_seconds: null } });
    expect((await millrace.command('status')).code).toBe(3);
    expect(await onTarget()).not.toContain(n);
    expect(await said('resume', 'standby')).toBe('standby goes on');
    await caughtUp();
    await millrace.waitFor('it runs', (each) => each.state === 'running');
    expect(await onTarget()).toContain(n);
  });

  test('pause and resume of the reader', async () => {
    await said('pause', 'reader');
    const channelNow = await millrace.waitFor('it is paused', (each) => each.reader.state === 'paused');
    expect(channelNow).toMatchObject({
      state: 'degraded',
      reason: 'reader: paused; millrace resume reader goes on',
    });
    const { n } = await row();
    const dumps = await source.query(
      "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'",
    );
    await until('the source has no dump of the killed process', async () => {
      const left = await source.query(
        "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'",
      );
      return left.length === 0 || left.length < dumps.length;
    });
    expect(await onTarget()).not.toContain(n);
    expect(await said('resume', 'reader')).toBe('the reader of orders reads on');
    await caughtUp();
    expect(await onTarget()).toContain(n);
  });

  test('skip, with its reason; what follows is applied', async () => {
    await says('pause', 'standby');
    const [before, wrong, after] = [await row(), await row(), await row()];
    await millrace.waitFor('all is received', (each) => {
      return (standby(each).lag_transactions as number) >= 3;
    });
    const answer = await said('skip', wrong.id, '--reason', 'row by mistake');
    expect(answer).toContain(
      `${wrong.id} is skipped on standby: committed as an empty transaction in its turn`,
    );
    expect(standby(await millrace.channel()).skips_pending).toBe(1);
    await says('resume', 'standby');
    await caughtUp();
    const rows = await onTarget();
    expect(rows).toEqual(expect.arrayContaining([before.n, after.n]));
    expect(rows).not.toContain(wrong.n);
    if (progress === 'gtid') expect(await executedSet(target)).toBe(await executedSet(source));
    await millrace.waitFor('it is done', (each) => standby(each).skips_pending === 0);
    expect(await refused('skip', after.id, '--reason', 'too late')).toBe(
      `millrace: ${after.id} is executed or in flight on standby already; nothing was changed [see docs/errors.md#NOT_POSSIBLE]`,
    );
    const audit = readFileSync(join(millrace.dataDir, 'millrace.audit.log'), 'utf8');
    expect(audit).toContain(`"id":"${wrong.id}","reason":"row by mistake","by":{"uid":${process.getuid?.()}`);
    expect(audit).toMatch(/"outcome":"skipped"/);
  });

  test('skip of the transaction that has stopped the target, and resume', async () => {
    const wrong = nextRow;
    await target.query(`SET sql_log_bin = 0; INSERT INTO shop.t VALUES (${wrong}); SET sql_log_bin = 1`);
    const { id } = await row();
    const { n } = await row();
    await millrace.waitFor('it has stopped', (each) => standby(each).state === 'stopped');
    expect((await millrace.command('skip', [id, '--reason', 'is there already'])).stdout).toContain(
      'standby has stopped: millrace resume standby starts it again',
    );
    expect((await millrace.command('resume', ['standby'])).stdout.trim()).toBe('standby is started again');
    await caughtUp();
    expect(await onTarget()).toEqual(expect.arrayContaining([wrong, n]));
  });

  test('until, before and after; a reached one is over with resume', async () => {
    await says('pause', 'standby');
    const [first, second, third] = [await row(), await row(), await row()];
    expect(await said('until', '--before', second.id)).toBe(
      `standby stops before ${second.id}; it is paused: millrace resume standby lets it go there`,
    );
    await says('resume', 'standby');
    const stopped = await millrace.waitFor('it has stopped', (each) => standby(each).until?.reached === true);
    expect(standby(stopped)).toMatchObject({
      state: 'paused',
      reason: `stopped before ${second.id}, as it was told; millrace resume standby goes on`,
    });
    expect(await onTarget()).toContain(first.n);
    expect(await onTarget()).not.toContain(second.n);
    await said('until', '--after', second.id);
    await until('it went on', async () => (await onTarget()).includes(second.n));
    await millrace.waitFor('it has stopped', (each) => standby(each).until?.reached === true);
    expect(await onTarget()).not.toContain(third.n);
    await said('resume', 'standby');
    await caughtUp();
    expect(await onTarget()).toContain(third.n);
    expect(standby(await millrace.channel()).until).toBeNull();
    // Until the new process has asked the target, nobody can tell what has passed: such an until is taken, and reached at once.
    await millrace.waitFor('the target is asked', (each) => {
      return standby(each).state === 'running' && standby(each).lag_transactions === 0;
    });
    expect(await refused('until', '--before', first.id)).toContain('that has passed; nothing was changed');
    expect(await refused('until', '--time', '2020-01-01')).toContain('that has passed; nothing was changed');
  });

  test('delay, and back to the configured one', async () => {
    await said('delay', 'standby', '1h');
    const { n, id } = await row();
    const waiting = await millrace.waitFor('it waits', (each) => standby(each).waiting?.next_id === id);
    expect(standby(waiting)).toMatchObject({ state: 'running', delay_seconds: 3600, reason: null });
    const due = standby(waiting).waiting?.next_due_seconds ?? 0;
    expect(due).toBeGreaterThan(3_000);
    expect(due).toBeLessThanOrEqual(3_600);
    expect(await onTarget()).not.toContain(n);
    await said('delay', 'standby', 'configured');
    await caughtUp();
    expect(await onTarget()).toContain(n);
  });

  test('approve is remembered until the transaction is executed', async () => {
    await says('pause', 'standby');
    const { id } = await row();
    await millrace.waitFor('it waits', (each) => standby(each).waiting?.next_id === id);
    expect(await said('approve', id)).toContain(`${id} is approved for standby: no guard holds it`);
    expect(standby(await millrace.channel()).approvals).toBe(1);
    await says('resume', 'standby');
    await caughtUp();
    await millrace.waitFor('it is done', (each) => standby(each).approvals === 0);
  });

  test('reload and SIGHUP: a delay that is configured anew holds at once; what is wrong or fixed changes nothing', async () => {
    const configure = (more: ConfigMap, top: ConfigMap = {}): void =>
      millrace.configure({
        data_dir: millrace.dataDir,
        log: { level: 'info', format: 'json' },
        channels: [{ ...channel, targets: [{ ...channel.targets[0], ...more }] }],
        ...top,
      });
    configure({ delay: '1h' });
    expect(await said('reload')).toBe(`${millrace.configFile} is reloaded:\n  orders.standby.delay: 0s → 1h`);
    const { n, id } = await row();
    await millrace.waitFor('it waits', (each) => standby(each).waiting?.next_id === id);
    configure({ delay: '1h', workers: 2 });
    expect(await refused('reload')).toContain(
      'nothing is reloaded, since this cannot change while Millrace runs: orders.standby.workers: 8 → 2',
    );
    configure({ delay: 'soon' });
    expect(await refused('reload')).toContain('"soon" is not a duration');
    expect(await onTarget()).not.toContain(n);
    configure({});
    process.kill(millrace.pid, 'SIGHUP');
    await caughtUp();
    expect(await onTarget()).toContain(n);
    expect(millrace.output).toContain('configuration reloaded');
  });

  test.runIf(progress === 'gtid')(
    'a target that goes back gets what was skipped as an empty transaction again',
    async () => {
      await says('pause', 'standby');
      const [wrong, after] = [await row(), await row()];
      await millrace.waitFor('all is received', (each) => (standby(each).lag_transactions as number) >= 2);
      await said('skip', wrong.id, '--reason', 'by mistake');
      const had = (await executedSet(target)).replaceAll('\n', '');
      await says('resume', 'standby');
      await caughtUp();
      await millrace.stop();
      await target.query(
        `DELETE FROM shop.t WHERE id = ${after.n}; RESET BINARY LOGS AND GTIDS; SET GLOBAL gtid_purged = '${had}'`,
      );
      await millrace.start();
      await caughtUp();
      expect(await onTarget()).toContain(after.n);
      expect(await onTarget()).not.toContain(wrong.n);
      expect(await executedSet(target)).toBe(await executedSet(source));
    },
  );
});
