/**
 * A channel that runs well, as a snapshot; tests change what they are about.
 */
import type { ApplierState, ApplierStatus } from '../../../src/applier/applier-messages.ts';
import { ERROR_CODES, type ErrorCode, type PlainError } from '../../../src/base/errors.ts';
import type { ChannelSnapshot } from '../../../src/channel/channel.ts';
import { type ChannelMachine, newChannelMachine } from '../../../src/channel/channel-state.ts';
import { type TargetWishes, targetWishes } from '../../../src/channel/control-document.ts';
import type { ReaderState, ReaderStatus } from '../../../src/reader/reader-messages.ts';

export const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
/** Monotonic time at NOW. */
export const UPTIME = 5_000_000;
export const NOW = Date.parse('2026-02-03T04:05:06.000Z');
export const FACTS = {
  version: '0.1.0',
  pid: 4711,
  startedWallMs: NOW - 90_000,
  nowWallMs: NOW,
  nowMs: UPTIME,
};

export function error(code: ErrorCode, message: string, hint: string | null = null): PlainError {
  return { code, action: ERROR_CODES[code], message, hint, facts: {} };
}

const GIB = 1024 ** 3;
/** For 28 hours. */
export const ROOM = {
  freeBytes: 99 * GIB,
  heldBytes: GIB,
  bytesPerSecond: 1024 ** 2,
  holdsMs: 100 * 1024 * 1000,
};

export interface Wish {
  readonly room?: ChannelSnapshot['room'];
  readonly machine?: Partial<ChannelMachine>;
  readonly readerState?: ReaderState;
  readonly reader?: Partial<ReaderStatus> | null;
  readonly targetState?: ApplierState;
  readonly target?: Partial<ApplierStatus> | null;
  readonly fresh?: boolean;
  readonly delayMs?: number;
  readonly wishes?: Partial<TargetWishes>;
}

export function snapshot(wish: Wish = {}): ChannelSnapshot {
  const readerState = wish.readerState ?? { at: 'streaming', sinceMs: NOW - 80_000 };
  const targetState = wish.targetState ?? { at: 'running' };
  return {
    name: 'orders',
    host: 'db1',
    port: 3306,
    machine: { ...newChannelMachine(1), state: { at: 'running' }, kind: 'gtid', ...wish.machine },
    everStreamed: true,
    reader: {
      state: readerState,
      fresh: wish.fresh ?? true,
      status: wish.reader === null ? null : { ...readerStatus(readerState), ...wish.reader },
    },
    targets: [
      {
        name: 'standby',
        host: 'db2',
        port: 3307,
        workers: 8,
        state: targetState,
        fresh: wish.fresh ?? true,
        delayMs: wish.delayMs ?? 0,
        alarms: 0,
        wishes: { ...targetWishes([], 'orders', 'standby'), ...wish.wishes },
        status: wish.target === null ? null : { ...applierStatus(targetState), ...wish.target },
      },
    ],
    room: wish.room === undefined ? ROOM : wish.room,
  };
}

function readerStatus(state: ReaderState): ReaderStatus {
  return {
    takenAtMs: UPTIME,
    state,
    lastError: null,
    source: { serverUuid: UUID, serverVersion: '9.7.4', flavour: 'mysql' },
    retrieved: `${UUID}:1-5021`,
    sourceFile: 'binlog.000042',
    sourcePosition: 1234,
    relayFile: 'relay-bin.000007',
    relayPosition: 88_231,
    relayBytes: 1_288_490_188,
    transactionsReceived: 5021,
    bytesReceived: 1_288_000_000,
    caughtUpWithSource: true,
    contactMs: NOW - 300,
    heartbeatMs: 1000,
    contactAtMs: UPTIME - 300,
    sourceClock: { offsetMs: 0, errorMs: 0.2, readAtMs: UPTIME - 500, steps: 0 },
    head: {
      file: 'binlog.000042',
      position: 1234,
      executed: `${UUID}:1-5021`,
      ageMs: 400,
      bytesAhead: 0,
    },
    headUnknown: null,
    proofAgeMs: 300,
    missingAgeMs: null,
    unsynced: { transactions: 0, bytes: 0, ageMs: null },
  };
}

function applierStatus(state: ApplierState): ApplierStatus {
  return {
    takenAtMs: UPTIME,
    state,
    lastError: null,
    mode: 'binlog',
    progress: 'gtid',
    executed: `${UUID}:1-5021`,
    workers: 8,
    transactionsApplied: 5021,
    rowsApplied: 70_000,
    filtered: { transactions: 12, statements: 3, rows: 450, systemStatements: 2 },
    caughtUpWithRelay: true,
    pendingCommitMicros: null,
    lastCommitMicros: null,
    pendingAgeMs: null,
    lastAgeMs: null,
    lastAppliedAtMs: null,
    neededFile: 7,
    appliedTo: null,
    pendingBytes: 0,
    activity: [],
    stuck: null,
    gate: { is: 'open' },
    untilReached: false,
    waiting: null,
    inFlight: 0,
    guards: { open: 0, first: [] },
  };
}
