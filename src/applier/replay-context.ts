/**
 * What a replay needs from its surroundings: the target's facts, progress, and a way back into the relay log.
 */
import type { FormatDescription } from '../binlog/format-description.ts';
import type { TableMapCache } from '../binlog/table-map-cache.ts';
import type { RelayPosition } from '../relay/published-end.ts';
import type { TargetRules } from '../rules/target-rules.ts';
import type { Collations } from '../target/collations.ts';
import type { RowReader } from '../target/ddl-intent.ts';
import type { Progress } from '../target/progress.ts';
import type { TargetFacts } from '../target/target-facts.ts';
import type { PreparedBranches, PreparedPlace } from './prepared-branches.ts';
import type { EventView } from './transaction.ts';

/** A transaction read again from the relay log. */
export interface StoredTransaction {
  readonly fde: FormatDescription;
  readonly formatDescription: Buffer;
  readonly events: Iterable<EventView>;
}

export interface ReplayContext {
  readonly facts: TargetFacts;
  /** As they are now: they change only while nothing is in flight, so a transaction sees one set of rules. */
  rules(): TargetRules;
  readonly progress: Progress;
  /** 1 …: whose progress row is written. */
  readonly worker: number;
  /** SQL literal of the channel's name. */
  readonly channel: string;
  /** The CREATE TABLE of this transaction ran before a crash; its rows did not. */
  readonly createdBefore: string | null;
  readonly tableMaps: TableMapCache;
  readonly prepared: PreparedBranches;
  collations(): Promise<Collations>;
  /** Text in UTF-8, in the character set `charset` as the target understands it. */
  convert(utf8: Buffer, charset: string): Promise<Buffer>;
  /**
   * What the schemas look like, as an open intent is settled after a crash: in the control session, whose time zone and
   * character set no event ever changes.
   */
  readonly readSchemas: RowReader;
  /** The transaction that begins there is the one that was noted. */
  holdsTransaction(place: PreparedPlace): boolean;
  /** @throws RELAY_CORRUPT when no transaction begins there any more. */
  readTransaction(location: RelayPosition): StoredTransaction;
}
