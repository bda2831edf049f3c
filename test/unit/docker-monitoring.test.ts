/**
 * What watches Millrace in docker/: every metric that a dashboard or an alert asks for is one that there is, with the labels that it
 * asks by; every health check asks what is answered.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { exporterStatus } from '../../src/observe/exporter-status.ts';
import { METRICS } from '../../src/observe/metrics.ts';
import { repositoryRoot } from '../support/repository.ts';

const docker = join(repositoryRoot, 'docker');
const read = (name: string): string => readFileSync(join(docker, name), 'utf8');

const KNOWN = new Map<string, readonly string[]>([
  ...Object.entries(METRICS).map(([name, { labels }]) => [name, labels] as const),
  ...Object.keys(exporterStatus.metrics).map((name) => [name, exporterStatus.labels] as const),
  ['up', []],
]);
/** Every scraped series has them. */
const SCRAPED = ['job', 'instance'];
const WORDS = new Set(['sum', 'rate', 'unless', 'on', 'and', 'by', 'channel', 'target', 'label_values', 'm']);

/** Metrics in an expression, with the labels that it selects by. */
function metricsOf(expression: string): { name: string; labels: string[] }[] {
  const selectors = [...expression.matchAll(/([a-z_:][a-z0-9_:]*)\s*(?:\{([^}]*)\})?/g)];
  return selectors
    .map((match) => ({
      name: match[1] ?? '',
      labels: [...(match[2] ?? '').matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)/g)].map((label) => label[1] ?? ''),
    }))
    .filter(({ name }) => !WORDS.has(name));
}

function check(expressions: readonly string[]): void {
  const wrong: string[] = [];
  let seen = 0;
  for (const expression of expressions) {
    const bare = expression.replace(/"[^"]*"/g, '""').replace(/\[[0-9a-z]+\]/g, '');
    for (const { name, labels } of metricsOf(bare)) {
      seen += 1;
      const known = KNOWN.get(name);
      if (known === undefined) wrong.push(`${name} in ${expression}`);
      else {
        const strange = labels.filter((label) => !known.includes(label) && !SCRAPED.includes(label));
        if (strange.length > 0) wrong.push(`${name} has no label ${strange.join(', ')}: ${expression}`);
      }
    }
  }
  expect(wrong).toEqual([]);
  expect(seen).toBeGreaterThanOrEqual(expressions.length);
}

describe('the alerts', () => {
  const { groups } = parse(read('prometheus/alerts.yml'));
  const rules: Record<string, never>[] = groups.flatMap((group: { rules: unknown[] }) => group.rules);

  test('ask for metrics that there are', () => {
    check(rules.map(({ expr }) => expr as unknown as string));
  });

  test('each has a name of its own, a severity, a summary and a description', () => {
    const names = rules.map(({ alert }) => alert);
    expect(new Set(names).size).toBe(names.length);
    for (const { labels, annotations } of rules as unknown as Record<string, Record<string, string>>[]) {
      expect(['warning', 'critical']).toContain(labels?.severity);
      expect(annotations?.summary).toBeTruthy();
      expect(annotations?.description).toBeTruthy();
    }
  });

  test('a delay does not count as too short while nothing waits: a quiet source has nothing to keep back', () => {
    const rule = rules.find(({ alert }) => String(alert) === 'MillraceDelayTooShort');
    expect(String(rule?.expr)).toContain('and on (channel, target) millrace_target_lag_transactions > 0');
    // What waits after a pause is younger than the delay, and rightly so.
    expect(String(rule?.expr)).toContain('rate(millrace_target_transactions_total[2m]) > 0');
  });

  test('each is in docs/monitoring.md, and so is every metric', () => {
    const text = readFileSync(join(repositoryRoot, 'docs/monitoring.md'), 'utf8');
    const named = [...rules.map(({ alert }) => String(alert)), ...KNOWN.keys()].filter(
      (name) => name !== 'up',
    );
    expect(named.filter((name) => !text.includes(name))).toEqual([]);
  });

  test('Prometheus loads them, and scrapes where Millrace listens', () => {
    const { rule_files: files, scrape_configs: jobs } = parse(read('prometheus/prometheus.yml'));
    expect(files).toEqual(['alerts.yml']);
    const { http } = parse(read('millrace.yaml'));
    const port = http.listen.split(':').at(-1);
    expect(jobs[0].static_configs[0].targets).toEqual([`millrace:${port}`]);
    expect(jobs[0].job_name).toBe('millrace');
    // By this name it is asked, so by this name it must answer.
    expect(http.allowed_hosts).toContain('millrace');
  });
});

describe('the dashboard', () => {
  // biome-ignore lint/suspicious/noExplicitAny: Grafana's own form
  let dashboard: any;
  beforeAll(() => {
    dashboard = JSON.parse(read('grafana/millrace.json'));
  });

  test('asks for metrics that there are', () => {
    const expressions = dashboard.panels.flatMap(({ targets }: { targets: { expr: string }[] }) => {
      return targets.map(({ expr }) => expr);
    });
    check([
      ...expressions,
      ...dashboard.templating.list
        .filter((one: { type: string }) => one.type === 'query')
        .map((one: { definition: string }) => one.definition),
    ]);
    expect(expressions.length).toBeGreaterThan(20);
  });

  test('no two panels have one place or one id, and each has a title', () => {
    const ids = dashboard.panels.map(({ id }: { id: number }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const cells = new Set<string>();
    for (const { title, gridPos } of dashboard.panels) {
      expect(title).toBeTruthy();
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(cells.has(`${x} ${y}`), `${title} overlaps`).toBe(false);
          cells.add(`${x} ${y}`);
        }
      }
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
    }
  });
});

describe('HAProxy', () => {
  const text = read('haproxy/haproxy.cfg');

  test('asks for the freshness of a channel and target that there are, where Millrace listens', () => {
    const [, path = ''] = /uri "([^"]+)"/.exec(text) ?? [];
    const url = new URL(path, 'http://millrace');
    const config = parse(read('millrace.yaml'));
    expect(url.pathname).toBe('/healthz/lag');
    expect(url.searchParams.get('channel')).toBe(config.channels[0].name);
    expect(url.searchParams.get('target')).toBe(config.channels[0].targets[0].name);
    expect(url.searchParams.get('max')).toMatch(/^\d+s$/);
    expect(text).toMatch(
      new RegExp(`check addr millrace port ${config.http.listen.split(':').at(-1)}$`, 'm'),
    );
    expect(text).toMatch(/hdr Host millrace$/m);
  });
});
