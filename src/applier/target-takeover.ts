/**
 * Connects to a target and takes it over: who it is, whether nobody else applies to it, where it stands.
 *
 *   connect → facts and refusals → lease (GET_LOCK) → what a crash left behind → progress taken over
 */
import type { Logger } from '../base/runtime.ts';
import { type PositionKind, parsePositionSet } from '../binlog/position-set.ts';
import { controlError } from '../target/apply-error.ts';
import { GtidProgress } from '../target/gtid-progress.ts';
import type { Executed, Progress } from '../target/progress.ts';
import { TableProgress } from '../target/table-progress.ts';
import { type PreparedRow, settleTable } from '../target/table-settlement.ts';
import {
  chooseProgress,
  readTargetFacts,
  requireSameFlavour,
  type TargetFacts,
} from '../target/target-facts.ts';
import { takeLease } from '../target/target-lease.ts';
import { openConnection, type WireConnection } from '../wire/connection.ts';
import type { ApplierOptions } from './applier-messages.ts';
import { crewOf } from './worker-sessions.ts';

/** Idle sessions are pinged well within this. */
const WAIT_TIMEOUT_SECONDS = 180;

export interface TakenTarget {
  /** Holds the lease, moves the progress base; lives as long as the run. */
  readonly control: WireConnection;
  readonly facts: TargetFacts;
  readonly progress: Progress;
  readonly executed: Executed;
  /** The transaction whose CREATE TABLE ran before a crash and whose rows did not. */
  readonly createdBefore: string | null;
  readonly prepared: readonly PreparedRow[];
}

/** @throws what keeps the target from being applied to; the connection is then closed. */
export async function takeTargetOver(
  options: ApplierOptions,
  kind: PositionKind,
  signal: AbortSignal,
  log: Logger,
): Promise<TakenTarget> {
  const control = await openConnection(options.endpoint, { purpose: 'the target', signal });
  try {
    const facts = await readTargetFacts(control);
    requireSameFlavour(kind, null, facts);
    const way = chooseProgress(options.progress, kind, facts);
    await control.query(`SET SESSION wait_timeout=${WAIT_TIMEOUT_SECONDS}`);
    await takeLease(control, options.channel);
    const taken =
      way === 'gtid'
        ? { progress: new GtidProgress(control, facts), createdBefore: null, prepared: [] }
        : await openTable(options, kind, control, facts, log);
    const about = options.control.skipped.map(({ id }) => id);
    const executed = await taken.progress.takeOver(about);
    if (options.startAt !== null) executed.set.addAll(parsePositionSet(kind, options.startAt));
    return { control, facts, ...taken, executed };
  } catch (error) {
    control.close();
    throw controlError(error);
  }
}

async function openTable(
  options: ApplierOptions,
  kind: PositionKind,
  control: WireConnection,
  facts: TargetFacts,
  log: Logger,
) {
  const { channel, owner } = options;
  const startAt = options.startAt === null ? null : parsePositionSet(kind, options.startAt);
  // Each of their sessions has a row of its own.
  const { workers, sessionsEach } = crewOf(options, kind);
  const rows = workers * sessionsEach;
  const progress = new TableProgress(control, { channel, kind, workers: rows, owner, startAt });
  await progress.createTables();
  // The rows are locked and the epoch is raised first: nobody can write an intent or a branch after we have looked.
  await progress.takeOver([]);
  const { createdBefore, prepared, note } = await settleTable(control, progress, facts);
  if (note !== null) log.info('a statement that was cut off is settled', { ...note });
  return { progress, createdBefore, prepared };
}
