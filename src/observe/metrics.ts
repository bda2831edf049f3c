/**
 * The status in Prometheus' form: our own names, and beside them those that mysqld_exporter gives to SHOW REPLICA STATUS, so
 * that dashboards and alerts made for replicas go on working.
 *
 * What is not known has no sample: an absent series is "unknown", and never 0. Labels are names from the configuration, states
 * and error codes, all of which are few: never a GTID, a statement, an address of a client. Made anew from one observation at
 * each scrape.
 */
import { Counter, Gauge, type Metric, Registry } from 'prom-client';
import { exporterStatus, type Say } from './exporter-status.ts';
import type { ChannelStatus, Status, TargetStatus } from './status.ts';

const CHANNEL_STATES = ['starting', 'running', 'degraded', 'stopped'] as const;
const STAGES = ['received', 'durable'] as const;

interface Definition {
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly labels: readonly string[];
}

const C = ['channel'] as const;
const CT = ['channel', 'target'] as const;

/** Every metric but the exporter's, in the order of the way. */
export const METRICS: Readonly<Record<string, Definition>> = {
  millrace_info: { type: 'gauge', help: 'The version that runs; always 1.', labels: ['version'] },
  millrace_start_time_seconds: {
    type: 'gauge',
    help: 'When the process was started, Unix time.',
    labels: [],
  },
  process_resident_memory_bytes: { type: 'gauge', help: 'Resident memory of the process.', labels: [] },
  process_cpu_seconds_total: {
    type: 'counter',
    help: 'CPU time of the process, user and system.',
    labels: [],
  },
  millrace_channel_state: {
    type: 'gauge',
    help: '1 for the state that the channel is in, 0 for the others.',
    labels: ['channel', 'state'],
  },
  millrace_channel_alarms: {
    type: 'gauge',
    help: 'Alarms of the watchdog that are on: links that look well and do not get on.',
    labels: C,
  },
  millrace_reader_streaming: { type: 'gauge', help: '1 while the source sends its binary log.', labels: C },
  millrace_reader_contact_seconds: {
    type: 'gauge',
    help: 'Time since the last byte came from the source.',
    labels: C,
  },
  millrace_reader_transactions_total: {
    type: 'counter',
    help: 'Transactions received since the reader thread began.',
    labels: C,
  },
  millrace_reader_bytes_total: {
    type: 'counter',
    help: 'Bytes received since the reader thread began.',
    labels: C,
  },
  millrace_reader_lag_seconds: {
    type: 'gauge',
    help: 'Age of the oldest that is behind: of the source and not received, or received and not durable. Absent: unknown.',
    labels: ['channel', 'stage'],
  },
  millrace_reader_lag_transactions: {
    type: 'gauge',
    help: 'Transactions that are behind at this stage. Absent: unknown.',
    labels: ['channel', 'stage'],
  },
  millrace_reader_lag_bytes: {
    type: 'gauge',
    help: 'Bytes that are behind at this stage. Absent: unknown.',
    labels: ['channel', 'stage'],
  },
  millrace_relay_log_bytes: { type: 'gauge', help: 'Size of the relay log on disk.', labels: C },
  millrace_target_running: {
    type: 'gauge',
    help: '1 while the target is connected and applied to.',
    labels: CT,
  },
  millrace_target_transactions_total: {
    type: 'counter',
    help: 'Transactions applied since the applier thread began.',
    labels: CT,
  },
  millrace_target_rows_total: {
    type: 'counter',
    help: 'Rows applied since the applier thread began.',
    labels: CT,
  },
  millrace_target_lag_seconds: {
    type: 'gauge',
    help: 'How far the target is behind its source. 0 only when the source has proven that there is no more. Absent: unknown.',
    labels: CT,
  },
  millrace_target_lag_at_most_seconds: {
    type: 'gauge',
    help: 'Everything that the source had so long ago is on the target. Absent: never proven.',
    labels: CT,
  },
  millrace_target_lag_transactions: {
    type: 'gauge',
    help: 'Transactions in the relay log that the target does not have. Absent: unknown.',
    labels: CT,
  },
  millrace_target_lag_bytes: {
    type: 'gauge',
    help: 'Bytes of relay log that are not applied. Absent: unknown.',
    labels: CT,
  },
  millrace_target_eta_seconds: {
    type: 'gauge',
    help: 'When it will have caught up at the rate of the last minute. Absent: unknown, or never.',
    labels: CT,
  },
  millrace_target_stuck_seconds: {
    type: 'gauge',
    help: 'How long the transaction that the others wait for has been in flight; 0 when nothing is stuck. Absent: unknown.',
    labels: ['channel', 'target', 'why'],
  },
  millrace_target_delay_seconds: {
    type: 'gauge',
    help: 'How far the target is kept behind on purpose.',
    labels: CT,
  },
  millrace_target_held: {
    type: 'gauge',
    help: '1 while a guard holds a transaction before the target.',
    labels: CT,
  },
  millrace_target_waiting_transactions: {
    type: 'gauge',
    help: 'Transactions that wait before the target until they are due, approved or resumed. Absent: unknown.',
    labels: CT,
  },
  millrace_target_workers: {
    type: 'gauge',
    help: 'Connections that transactions are applied in.',
    labels: CT,
  },
  millrace_target_busy_workers: {
    type: 'gauge',
    help: 'Workers that are applying a transaction right now.',
    labels: CT,
  },
  millrace_last_error: {
    type: 'gauge',
    help: '1 with the code of the last error of the reader or of a target; 0 with the code none: there was none.',
    labels: ['channel', 'part', 'code'],
  },
};

/** The metrics of one process. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #own = new Map<string, Counter | Gauge>();

  constructor() {
    for (const [name, { type, help, labels }] of Object.entries(METRICS))
      this.#define(name, type, help, labels);
    for (const [name, { help }] of Object.entries(exporterStatus.metrics)) {
      this.#define(name, 'gauge', help, exporterStatus.labels);
    }
  }

  get type(): string {
    return this.#registry.contentType;
  }

  text(status: Status): Promise<string> {
    for (const metric of this.#own.values()) metric.reset();
    const say: Say = (name, labels, value) => {
      if (value === null || value === undefined) return;
      const metric = this.#own.get(name)!;
      // A counter that was reset takes the whole as one step.
      metric.inc(labels, Number(value));
    };
    say('millrace_info', { version: status.version }, 1);
    say('millrace_start_time_seconds', {}, Date.parse(status.started_at) / 1000);
    const { user, system } = process.cpuUsage();
    say('process_resident_memory_bytes', {}, process.memoryUsage.rss());
    say('process_cpu_seconds_total', {}, (user + system) / 1_000_000);
    for (const channel of status.channels) {
      sayChannel(channel, say);
      exporterStatus.say(channel, say);
    }
    return this.#registry.metrics();
  }

  #define(name: string, type: Definition['type'], help: string, labelNames: readonly string[]): void {
    const configuration = { name, help, labelNames, registers: [this.#registry] };
    const metric: Metric = type === 'counter' ? new Counter(configuration) : new Gauge(configuration);
    this.#own.set(name, metric as Counter | Gauge);
  }
}

function sayChannel(status: ChannelStatus, say: Say): void {
  const { name: channel, reader, relay_log: relayLog } = status;
  for (const state of CHANNEL_STATES) {
    say('millrace_channel_state', { channel, state }, status.state === state);
  }
  say('millrace_channel_alarms', { channel }, status.alarms.length);
  say('millrace_reader_streaming', { channel }, reader.state === 'streaming');
  say('millrace_reader_contact_seconds', { channel }, reader.contact_seconds);
  say('millrace_reader_transactions_total', { channel }, reader.transactions_received);
  say('millrace_reader_bytes_total', { channel }, reader.bytes_received);
  for (const stage of STAGES) {
    const lag = reader.lag[stage];
    say('millrace_reader_lag_seconds', { channel, stage }, lag.seconds);
    say('millrace_reader_lag_transactions', { channel, stage }, lag.transactions);
    say('millrace_reader_lag_bytes', { channel, stage }, lag.bytes);
  }
  say('millrace_relay_log_bytes', { channel }, relayLog.bytes);
  sayError(channel, 'reader', reader.last_error_code, say);
  for (const target of status.targets) sayTarget(channel, target, say);
}

function sayTarget(channel: string, status: TargetStatus, say: Say): void {
  const labels = { channel, target: status.name };
  const { lag, stuck } = status;
  say('millrace_target_running', labels, status.state === 'running');
  say('millrace_target_transactions_total', labels, status.transactions_applied);
  say('millrace_target_rows_total', labels, status.rows_applied);
  say('millrace_target_lag_seconds', labels, lag.total.seconds);
  say('millrace_target_lag_at_most_seconds', labels, lag.at_most_seconds);
  say('millrace_target_lag_transactions', labels, lag.applied.transactions);
  say('millrace_target_lag_bytes', labels, lag.applied.bytes);
  say('millrace_target_eta_seconds', labels, status.eta.seconds);
  if (status.answers) {
    say('millrace_target_stuck_seconds', { ...labels, why: stuck?.why ?? 'none' }, stuck?.since_seconds ?? 0);
  }
  say('millrace_target_delay_seconds', labels, status.delay_seconds);
  say('millrace_target_held', labels, status.hold !== null);
  if (status.answers) {
    const waiting = status.waiting === null ? 0 : status.waiting.transactions;
    say('millrace_target_waiting_transactions', labels, waiting);
  }
  say('millrace_target_workers', labels, status.workers);
  say('millrace_target_busy_workers', labels, status.busy.length);
  sayError(channel, status.name, status.last_error_code, say);
}

function sayError(channel: string, part: string, code: string | null, say: Say): void {
  say('millrace_last_error', { channel, part, code: code ?? 'none' }, code !== null);
}
