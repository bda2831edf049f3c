/**
 * Progress mode `gtid`: the target's gtid_executed.
 *
 * `SET GTID_NEXT=_ascii'uuid:n'` makes the GTID part of the transaction's own commit (and of an atomic DDL's). Sent again after
 * a lost connection, the server waits for a session that still owns the GTID, and skips the transaction when it is
 * executed: an ambiguous COMMIT solves itself. ROLLBACK gives the GTID back unused; COMMIT of nothing commits it as an
 * empty transaction (both tried on 9.7.4). A session that owns a GTID refuses another one (1790).
 */
import { assert } from '../base/errors.ts';
import { sleep } from '../base/runtime.ts';
import { parsePositionSet, type TransactionId } from '../binlog/position-set.ts';
import type { TransactionHead } from '../binlog/transaction-boundary.ts';
import type { WireConnection } from '../wire/connection.ts';
import type { Executed, Progress } from './progress.ts';
import { asciiLiteral } from './sql-literal.ts';
import type { TargetFacts } from './target-facts.ts';

/** How often and how long it is waited for sessions of an earlier life. */
const OWNER_LOOK_MS = 100;
const OWNER_LOOKS = 50;
const QUIET_LOOKS = 2;

/**
 * Behind a transaction that is not answered yet. What keeps this one from being run where that one is not committed:
 *   a statement of it has failed       ROW_COUNT() is -1, whatever it was (manual, "Information Functions"; THD::raise_condition in
 *                                      sql_class.cc), and FAILED is no GTID: 1774. So this fails, and so on
 *   it has changed nothing             nothing was committed, and it still owns its GTID: 1790
 *   its packet was broken off between  a KILL QUERY may do that without an error (seen on 9.7.4). It owns its GTID, since that is the
 *   two statements                     first thing of its packet: 1790
 */
const LAST_WAS_GOOD = 'ROW_COUNT() >= 0';
const FAILED = asciiLiteral('none');

export class GtidProgress implements Progress {
  readonly kind = 'gtid';
  readonly #control: WireConnection;
  readonly #facts: TargetFacts;

  constructor(control: WireConnection, facts: TargetFacts) {
    this.#control = control;
    this.#facts = facts;
  }

  async takeOver(about: readonly string[]): Promise<Executed> {
    // Looked at first: what is owned no more is executed by now, or never will be by that session.
    const owned = await this.#awaitOwners(new Set(about));
    const rows = await this.#control.query('SELECT @@GLOBAL.gtid_executed AS executed');
    const settled = new Set(about.filter((id) => !owned.has(id)));
    return { set: parsePositionSet('gtid', rows[0]?.executed ?? ''), above: new Set(), settled };
  }

  /**
   * Which of them some session owns, after it was given time to commit or to notice that its client is gone. Any GTID that is owned
   * is waited for, and nothing must be owned twice in a row: what a session that is left over has in its socket is not owned before
   * its turn.
   */
  async #awaitOwners(ids: ReadonlySet<string>): Promise<ReadonlySet<string>> {
    let quiet = 0;
    for (let look = 1; ids.size > 0; look++) {
      const [row] = await this.#control.query('SELECT @@GLOBAL.gtid_owned AS owned');
      const owned = ownedGtids(row?.owned ?? '');
      quiet = owned.length === 0 ? quiet + 1 : 0;
      if (quiet >= QUIET_LOOKS || look >= OWNER_LOOKS) return new Set(owned.filter((id) => ids.has(id)));
      await sleep(OWNER_LOOK_MS);
    }
    return new Set();
  }

  begin(id: TransactionId, head: TransactionHead, behind = false): readonly string[] {
    assert(id.kind === 'gtid', 'progress gtid needs GTIDs');
    // The sid comes from parsed bytes: hex digits, dashes and a checked tag.
    const gtid = asciiLiteral(`${id.sid}:${id.gno}`);
    const next = behind ? `IF(${LAST_WAS_GOOD}, ${gtid}, ${FAILED})` : gtid;
    const statements = [`SET GTID_NEXT=${next}`];
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

/** Of `uuid:3#12:7#14,uuid:tag:1#15`: the GTIDs without the sessions that own them. */
export function ownedGtids(text: string): string[] {
  const ids: string[] = [];
  for (const part of text.split(',')) {
    const [uuid = '', ...rest] = part.trim().toLowerCase().split(':');
    let tag = '';
    for (const word of rest) {
      const gno = /^(\d+)#/.exec(word)?.[1];
      if (gno === undefined) tag = `:${word}`;
      else ids.push(`${uuid}${tag}:${gno}`);
    }
  }
  return ids;
}
