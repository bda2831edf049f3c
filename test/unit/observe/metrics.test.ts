import { describe, expect, test } from 'vitest';
import { METRICS, Metrics } from '../../../src/observe/metrics.ts';
import { composeStatus } from '../../../src/observe/status.ts';
import { type Family, lintExposition, parseExposition } from '../../support/exposition.ts';
import { error, FACTS, NOW, snapshot, UUID, type Wish } from './snapshots.ts';

async function scrape(...wishes: Wish[]): Promise<Family[]> {
  const channels = wishes.map((wish, index) => ({ ...snapshot(wish), name: `channel-${index}` }));
  return parseExposition(await new Metrics().text(composeStatus(channels, FACTS)));
}

function value(
  families: readonly Family[],
  name: string,
  labels: Record<string, string> = {},
): number | null {
  const samples = families.find((family) => family.name === name)?.samples ?? [];
  const found = samples.filter((sample) =>
    Object.entries(labels).every(([label, text]) => sample.labels[label] === text),
  );
  expect(found.length).toBeLessThanOrEqual(1);
  return found[0]?.value ?? null;
}

describe('the metrics', () => {
  test('are in the form that Prometheus reads, and nothing in them is objected to', async () => {
    const families = await scrape({}, { reader: null, target: null });
    expect(lintExposition(families)).toEqual([]);
    const ours = families.map(({ name }) => name).filter((name) => !name.startsWith('mysql_slave_status_'));
    expect(ours.sort()).toEqual(Object.keys(METRICS).sort());
  });

  test('of a channel that runs well', async () => {
    const families = await scrape({});
    const target = { channel: 'channel-0', target: 'standby' };
    expect(value(families, 'millrace_channel_state', { state: 'running' })).toBe(1);
    expect(value(families, 'millrace_channel_state', { state: 'degraded' })).toBe(0);
    expect(value(families, 'millrace_target_lag_seconds', target)).toBe(0);
    expect(value(families, 'millrace_target_lag_at_most_seconds', target)).toBe(0.3);
    expect(value(families, 'millrace_reader_lag_seconds', { stage: 'durable' })).toBe(0);
    expect(value(families, 'millrace_target_transactions_total', target)).toBe(5021);
    expect(value(families, 'millrace_start_time_seconds')).toBe((NOW - 90_000) / 1000);
  });

  test('what is not known has no sample, and is not 0', async () => {
    const families = await scrape({ fresh: false });
    expect(value(families, 'millrace_target_lag_seconds')).toBeNull();
    expect(value(families, 'millrace_reader_lag_seconds', { stage: 'received' })).toBeNull();
    expect(value(families, 'mysql_slave_status_seconds_behind_master')).toBeNull();
  });

  test('nothing is told to be 0 of what nobody has looked at yet', async () => {
    const families = await scrape({ reader: null, target: null, fresh: false });
    for (const name of [
      'millrace_relay_log_bytes',
      'mysql_slave_status_relay_log_space',
      'millrace_target_waiting_transactions',
      'millrace_target_stuck_seconds',
    ]) {
      expect([name, value(families, name)]).toEqual([name, null]);
    }
    const known = await scrape({});
    expect(value(known, 'millrace_target_waiting_transactions')).toBe(0);
    expect(value(known, 'millrace_target_stuck_seconds', { why: 'none' })).toBe(0);
  });

  test('a second scrape does not add to the first', async () => {
    const metrics = new Metrics();
    const status = composeStatus([snapshot()], FACTS);
    await metrics.text(status);
    const families = parseExposition(await metrics.text(status));
    expect(value(families, 'millrace_target_transactions_total')).toBe(5021);
    expect(value(families, 'millrace_channel_state', { state: 'running' })).toBe(1);
  });

  test('carry what mysqld_exporter names for a replica', async () => {
    const families = await scrape({});
    const labels = {
      master_host: 'db1',
      master_uuid: UUID,
      channel_name: 'channel-0',
      connection_name: '',
      target: 'standby',
    };
    expect(value(families, 'mysql_slave_status_seconds_behind_master', labels)).toBe(0);
    expect(value(families, 'mysql_slave_status_slave_io_running', labels)).toBe(1);
    expect(value(families, 'mysql_slave_status_slave_sql_running', labels)).toBe(1);
    expect(value(families, 'mysql_slave_status_read_master_log_pos', labels)).toBe(1234);
    expect(value(families, 'mysql_slave_status_last_sql_errno', labels)).toBe(0);
  });

  test('a target that has stopped, and why', async () => {
    const cause = error('APPLY_FAILED', 'row not found');
    const families = await scrape({ targetState: { at: 'stopped', cause } });
    expect(value(families, 'millrace_target_running')).toBe(0);
    expect(value(families, 'mysql_slave_status_last_sql_errno')).toBe(1);
    expect(value(families, 'millrace_last_error', { code: 'APPLY_FAILED', part: 'standby' })).toBe(1);
  });

  test('the number of series is bounded by the configuration, whatever happens', async () => {
    const count = (families: readonly Family[]): number =>
      families
        .filter(({ name }) => name.startsWith('millrace_') || name.startsWith('mysql_'))
        .reduce((sum, { samples }) => sum + samples.length, 0);
    const quiet = count(await scrape({}));
    const holes = Array.from({ length: 1000 }, (_, n) => 2 * n + 1).join(':');
    const wild = count(
      await scrape({
        reader: { retrieved: `${UUID}:${holes}`, lastError: error('CONNECTION_LOST', 'x'.repeat(10_000)) },
        target: { executed: `${UUID}:${holes}` },
      }),
    );
    expect(wild).toBe(quiet);
  });
});
