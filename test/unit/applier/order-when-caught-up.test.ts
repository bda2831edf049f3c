/** Relay log, assembler, intake and scheduler together, while the log grows and transactions are applied. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ApplyIntake } from '../../../src/applier/apply-intake.ts';
import { ApplyScheduler } from '../../../src/applier/apply-scheduler.ts';
import type { ApplyUnit } from '../../../src/applier/apply-unit.ts';
import { NO_CONTROL } from '../../../src/applier/target-control.ts';
import { TransactionAssembler } from '../../../src/applier/transaction-assembler.ts';
import { parsePositionSet } from '../../../src/binlog/position-set.ts';
import { NO_GUARDS } from '../../../src/rules/guard-rules.ts';
import { ALL_IS_REPLICATED } from '../../../src/rules/target-rules.ts';
import { ComposedLog, deletion } from '../../support/composed-log.ts';
import { RelayDirectory } from '../../support/relay-directory.ts';

const WORKERS = 8;
const MIB = 1024 * 1024;

/** What is in flight; the newest is committed first: the worst order that the scheduler allows. */
class Target {
  readonly #scheduler: ApplyScheduler<ApplyUnit>;
  readonly #intake: ApplyIntake;
  readonly #relay: RelayDirectory;
  readonly #inFlight: ApplyUnit[] = [];
  readonly committed: number[] = [];
  most = 0;

  constructor(relay: RelayDirectory) {
    this.#relay = relay;
    this.#scheduler = new ApplyScheduler<ApplyUnit>({
      workers: WORKERS,
      commitOrder: 'window',
      windowMax: 1024,
      bytesMax: 8 * MIB,
      transactionsMax: 1024,
    });
    const executed = {
      set: parsePositionSet('gtid', ''),
      above: new Set<string>(),
      settled: new Set<string>(),
    };
    const settings = { control: NO_CONTROL, delayMs: 0, guards: NO_GUARDS, rules: ALL_IS_REPLICATED };
    this.#intake = new ApplyIntake(executed, settings, {
      kind: 'gtid',
      scheduler: this.#scheduler,
      due: { dueInMs: () => 0 },
      coalesce: 1,
      follow: true,
      scout: () => null,
    });
    this.#intake.readFrom(new TransactionAssembler(relay.cursor(), executed));
  }

  /** As the pump does it. `until`: it looks no further once so many are in flight. */
  pump(until = Number.POSITIVE_INFINITY): void {
    for (;;) {
      const filled = this.#intake.fill(this.#relay.published.read());
      for (;;) {
        const started = this.#scheduler.take(() => false);
        if (started === null) break;
        this.#inFlight.push(started.unit);
      }
      this.most = Math.max(this.most, this.#inFlight.length);
      if (filled !== 'slice' || this.#inFlight.length >= until) return;
    }
  }

  commitNewest(): void {
    const unit = this.#inFlight.pop();
    if (unit === undefined) return;
    this.committed.push(unit.ordinal);
    this.#intake.committed(unit);
    this.pump();
  }
}

describe('with commit_order window', () => {
  let relay: RelayDirectory;
  let log: ComposedLog;
  beforeEach(async () => {
    relay = new RelayDirectory();
    log = new ComposedLog(await relay.openWriter(), { independent: true });
    log.publish();
  });
  afterEach(() => relay.remove());

  test.each([
    { rows: 10, each: 1 },
    { rows: 10, each: 3 },
    { rows: 60, each: 2 },
    { rows: 4000, each: 2 },
  ])(
    'a target that keeps up commits in the source’s order, however much goes by: $each of $rows rows at a time',
    ({ rows, each }) => {
      const target = new Target(relay);
      const events = deletion(rows);
      const rounds = Math.ceil((3 * MIB) / (each * rows * 20));
      for (let round = 0; round < rounds; round++) {
        for (let n = 0; n < each; n++) log.add(...events);
        log.publish();
        target.pump();
        // The first time one less: from then on something is in flight always.
        for (let n = round === 0 ? 1 : 0; n < each; n++) target.commitNewest();
      }
      expect(target.committed.length).toBeGreaterThan(10);
      expect(target.committed).toEqual(target.committed.map((_, at) => at));
      expect(target.most).toBe(1);
    },
  );

  test('a target that is far behind begins side by side, before much is read', () => {
    for (let n = 0; n < 100; n++) log.add(...deletion(4000));
    log.publish();
    const target = new Target(relay);
    target.pump(2);
    expect(target.most).toBe(2);
  });
});
