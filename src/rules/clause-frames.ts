/**
 * What a clause scan knows about each open parenthesis: whether a list of tables stands there, and which common table
 * expressions can be seen.
 *
 * A common table expression is seen in the parentheses of its WITH and inside of them, after its own query; with RECURSIVE
 * in its own query too.
 */

/** `deletes-from`: the list of a DELETE of several tables, of which its targets are changed. */
export type ListRole = 'reads' | 'changes-rows' | 'deletes-from';

export interface CommonTable {
  readonly name: string;
  readonly recursive: boolean;
}

export interface Frame {
  /** SELECT or DELETE has come, and its FROM has not: FROM begins a list of tables. */
  awaitsFrom: boolean;
  /** Its FROM has come. */
  query: boolean;
  /** Null: an expression. Else what happens to the tables of the list. */
  tables: ListRole | null;
  expectTable: boolean;
  /** The next FROM belongs to a period of time. */
  periodFrom: boolean;
  /** The common table expression whose query stands in these parentheses. */
  readonly queryOf: CommonTable | null;
  readonly visible: CommonTable[];
}

export const DEPTH_MAX = 1000;

export class ClauseFrames {
  readonly #frames: Frame[] = [newFrame(null)];
  /** How often each name can be seen, as written and in lower case. */
  readonly #exact = new Map<string, number>();
  readonly #folded = new Map<string, number>();

  get current(): Frame {
    return this.#frames[this.#frames.length - 1]!;
  }

  get outermost(): boolean {
    return this.#frames.length === 1;
  }

  /** Outside of all parentheses stands the list of an UPDATE: also in the parentheses of its conditions. */
  get inUpdateList(): boolean {
    return this.#frames[0]!.tables === 'changes-rows';
  }

  beginTables(role: ListRole): void {
    this.current.tables = role;
    this.current.expectTable = true;
  }

  /** False: too deep. The list of tables, where one is expected, goes on inside. */
  open(queryOf: CommonTable | null = null): boolean {
    if (this.#frames.length >= DEPTH_MAX) return false;
    const outer = this.current;
    const inner = newFrame(queryOf);
    if (outer.tables !== null && outer.expectTable && queryOf === null) {
      inner.tables = outer.tables;
      inner.expectTable = true;
      outer.expectTable = false;
    }
    this.#frames.push(inner);
    return true;
  }

  /** Gives the common table expression whose query has ended. */
  close(): CommonTable | null {
    const { queryOf, visible } = this.#frames.pop()!;
    for (const table of visible) this.#count(table, -1);
    if (queryOf !== null && !queryOf.recursive) this.show(queryOf);
    return queryOf;
  }

  /** A statement of a body has ended. */
  reset(): void {
    for (const table of this.current.visible) this.#count(table, -1);
    this.#frames[0] = newFrame(null);
  }

  show(table: CommonTable): void {
    this.current.visible.push(table);
    this.#count(table, 1);
  }

  /** 'in case': only when letters' case does not count, which depends on the server. */
  sees(name: string): 'yes' | 'no' | 'in case' {
    if (this.#folded.size === 0) return 'no';
    if (this.#exact.has(name)) return 'yes';
    return this.#folded.has(name.toLowerCase()) ? 'in case' : 'no';
  }

  #count({ name }: CommonTable, step: 1 | -1): void {
    for (const [counts, key] of [
      [this.#exact, name],
      [this.#folded, name.toLowerCase()],
    ] as const) {
      const count = (counts.get(key) ?? 0) + step;
      if (count === 0) counts.delete(key);
      else counts.set(key, count);
    }
  }
}

function newFrame(queryOf: CommonTable | null): Frame {
  return {
    awaitsFrom: false,
    query: false,
    tables: null,
    expectTable: false,
    periodFrom: false,
    queryOf,
    visible: [],
  };
}
