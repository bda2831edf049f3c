/**
 * Progress mode `gtid`: the target's gtid_executed.
 *
 * `SET GTID_NEXT='uuid:n'` makes the GTID part of the transaction's own commit (and of an atomic DDL's). Sent again after
 * a lost connection, the server waits for a session that still owns the GTID, and skips the transaction when it is
 * executed: an ambiguous COMMIT solves itself. ROLLBACK gives the GTID back unused; COMMIT of nothing commits it as an
 * empty transaction (both tried on 9.7.4).
 */
import { assert } from '../base/errors.ts';
import { parsePositionSet, type TransactionId } from '../binlog/position-set.ts';
import type { TransactionHead } from '../binlog/transaction-boundary.ts';
import type { WireConnection } from '../wire/connection.ts';
import type { Executed, Progress } from './progress.ts';
import type { TargetFacts } from './target-facts.ts';

export class GtidProgress implements Progress {
  readonly kind = 'gtid';
  readonly #control: WireConnection;
  readonly #facts: TargetFacts;

  constructor(control: WireConnection, facts: TargetFacts) {
    this.#control = control;
    this.#facts = facts;
  }

  async takeOver(): Promise<Executed> {
    const rows = await this.#control.query('SELECT @@GLOBAL.gtid_executed AS executed');
    return { set: parsePositionSet('gtid', rows[0]?.executed ?? ''), above: new Set() };
  }

  begin(id: TransactionId, head: TransactionHead): readonly string[] {
    assert(id.kind === 'gtid', 'progress gtid needs GTIDs');
    // The sid comes from parsed bytes: hex digits, dashes and a checked tag.
    const statements = [`SET GTID_NEXT='${id.sid}:${id.gno}'`];
    if (this.#facts.versionNumber >= 80001 && head.originalCommitMicros !== null) {
      statements[0] += `, @@session.original_commit_timestamp=${head.originalCommitMicros}`;
    }
    if (this.#facts.versionNumber >= 80014 && head.originalServerVersion) {
      statements[0] += `, @@session.original_server_version=${head.originalServerVersion}`;
    }
    return statements;
  }

  record(): readonly string[] {
    return [];
  }

  guard(): null {
    return null;
  }

  recorded(): void {}

  async checkpoint(): Promise<void> {}

  close(): void {}
}
