/**
 * Finds the names in queries, expressions, row statements and bodies: which are tables, and which only columns.
 *
 * A name's part in the sentence follows from its place:
 *
 *   after FROM, JOIN, INTO, UPDATE, TABLE, REFERENCES …, and commas of such a list     [database.]table
 *   elsewhere       a.b  column     a.b.c  database.table.column     a.b.*  database.table     a.b(  database.routine
 *
 * So it keeps, for each open parenthesis, whether a list of tables stands there, and which names are those of common table
 * expressions. FROM belongs to a query only where SELECT or DELETE has come before in the same parentheses; else to EXTRACT,
 * TRIM and their like.
 *
 * Invariants: linear in the length of the text; the stack is bounded, deeper nesting is not placed.
 */
import { ClauseNames } from './clause-names.ts';
import type { QualifiedName, StatementScan } from './statement-scan.ts';

export interface ClauseOptions {
  /** A stored program: statements end at semicolons, and only the databases are noted. */
  readonly body: boolean;
  /** Ends at a comma outside of parentheses, which is left. */
  readonly untilComma?: boolean;
}

interface Frame {
  /** SELECT has come: FROM begins a list of tables. */
  query: boolean;
  /** Null: an expression. Else what happens to the tables of the list. */
  tables: 'reads' | 'changes-rows' | null;
  expectTable: boolean;
  /** The next FROM belongs to a period of time. */
  periodFrom: boolean;
  /** Common table expressions that can be seen here. */
  readonly ctes: string[];
  /** The common table expression whose body this is. */
  readonly body: { readonly name: string; readonly recursive: boolean } | null;
}

const DEPTH_MAX = 1000;

const QUERY_STARTS = new Set(['SELECT', 'VALUES', 'TABLE', 'WITH']);
const ENDS_TABLES = words(
  'WHERE GROUP HAVING ORDER LIMIT SET INTO LOCK PROCEDURE RETURNING SELECT UNION QUALIFY',
);
/** Not reserved everywhere: they end a list only where their clause follows. */
const SET_OPERATIONS = new Set(['EXCEPT', 'INTERSECT', 'MINUS']);
const AFTER_SET_OPERATION = new Set(['SELECT', 'ALL', 'DISTINCT', 'VALUES', 'TABLE', 'WITH']);
/** What may follow a table's name and is not its alias. */
const AFTER_TABLE = words(
  'PARTITION USE FORCE IGNORE JOIN STRAIGHT_JOIN INNER CROSS LEFT RIGHT NATURAL FULL ON USING FOR TABLESAMPLE',
);
/** A dot after one of these begins a name that has no database: `FROM .t`. */
const BEFORE_NAME = words(
  'ALL AND BETWEEN BY CALL CASE DELETE DISTINCT DIV ELSE EXISTS FROM HAVING IN INTERVAL INTO IS JOIN LIKE MOD NOT ON OR REFERENCES REGEXP RETURN RLIKE SELECT SET STRAIGHT_JOIN TABLE THEN UPDATE USING VALUES WHEN WHERE WHILE XOR',
);
const DDL_VERBS = new Set([
  'CREATE',
  'ALTER',
  'DROP',
  'RENAME',
  'GRANT',
  'REVOKE',
  'ANALYZE',
  'LOCK',
  'SHOW',
]);

export class ClauseScan {
  readonly #scan: StatementScan;
  readonly #body: boolean;
  readonly #untilComma: boolean;
  readonly #frames: Frame[] = [newFrame()];
  #previous = '';
  readonly #names: ClauseNames;

  constructor(scan: StatementScan, { body, untilComma = false }: ClauseOptions) {
    this.#scan = scan;
    this.#body = body;
    this.#untilComma = untilComma;
    this.#names = new ClauseNames(scan, body);
  }

  /** Reads to the end of the statement. */
  run(): void {
    const scan = this.#scan;
    for (;;) {
      const token = scan.peek();
      if (token.kind === 'end') break;
      if (token.kind === 'symbol') {
        if (token.text === ',' && this.#untilComma && this.#frames.length === 1) break;
        if (token.text === ';' && !this.#semicolon()) break;
        if (token.text !== ';') this.#symbol(token.text);
      } else if (token.kind === 'word') {
        this.#word(token.text);
      } else if (token.kind === 'name') {
        this.#name();
      } else {
        scan.next();
        this.#previous = '';
      }
    }
    if (this.#frames.length > 1) scan.fail('a parenthesis is not closed');
    this.#names.settleTargets();
  }

  get #frame(): Frame {
    return this.#frames[this.#frames.length - 1]!;
  }

  /** False: it ends the statement. */
  #semicolon(): boolean {
    if (this.#frames.length > 1) this.#scan.fail('a parenthesis is not closed');
    if (!this.#body) return false;
    this.#scan.next();
    this.#previous = '';
    this.#names.reset();
    this.#frames[0] = newFrame();
    return true;
  }

  // ---- parentheses and commas

  #symbol(symbol: string): void {
    const scan = this.#scan;
    const frame = this.#frame;
    switch (symbol) {
      case '(':
        scan.next();
        this.#open(frame);
        break;
      case ')':
        if (this.#frames.length === 1) scan.fail('a parenthesis is closed that was not opened');
        scan.next();
        this.#close();
        break;
      case ',':
        scan.next();
        if (frame.tables !== null) frame.expectTable = true;
        break;
      case '.':
        this.#name();
        return;
      case '{':
        // { OJ t1 LEFT JOIN t2 … }, { d '2020-01-01' }
        scan.next();
        if (scan.isName()) scan.next();
        break;
      default:
        scan.next();
    }
    this.#previous = symbol;
  }

  #open(outer: Frame, body: Frame['body'] = null): void {
    if (this.#frames.length >= DEPTH_MAX) this.#scan.fail(`parentheses are nested deeper than ${DEPTH_MAX}`);
    const inner = newFrame(body);
    if (outer.tables !== null && outer.expectTable && body === null) {
      inner.tables = outer.tables;
      inner.expectTable = true;
      outer.expectTable = false;
    }
    this.#frames.push(inner);
  }

  #close(): void {
    const { body } = this.#frames.pop()!;
    if (body === null) return;
    if (!body.recursive) this.#frame.ctes.push(body.name);
    if (this.#scan.takeSymbol(',')) this.#commonTable(body.recursive);
  }

  // ---- words

  #word(word: string): void {
    const scan = this.#scan;
    const frame = this.#frame;
    const dotted = scan.isSymbol('.', 1) && !BEFORE_NAME.has(word);
    const handled =
      !dotted && (frame.tables === null ? this.#inExpression(word, frame) : this.#inTables(word, frame));
    if (!handled) this.#name();
    this.#previous = word;
  }

  /** False: it is a name, or nothing of interest. */
  #inTables(word: string, frame: Frame): boolean {
    const scan = this.#scan;
    if (frame.expectTable) {
      if (QUERY_STARTS.has(word) && word !== 'VALUES') return this.#leaveTables(word, frame);
      if (word === 'VALUES' && (scan.isSymbol('(', 1) || scan.wordAt(1) === 'ROW')) {
        return this.#leaveTables(word, frame);
      }
      if (word === 'LATERAL') return this.#pass();
      if (word !== 'DUAL') return false;
      frame.expectTable = false;
      return this.#pass();
    }
    switch (word) {
      case 'JOIN':
      case 'STRAIGHT_JOIN':
        frame.expectTable = true;
        return this.#pass();
      case 'AS':
        scan.next();
        if (scan.wordAt() === 'OF') return this.#pass();
        if (scan.isName()) scan.next();
        return true;
      case 'ON':
        if (scan.wordAt(1) === 'DUPLICATE') return this.#leaveTables(word, frame);
        return this.#pass();
      case 'FOR':
        return this.#forClause(frame);
      case 'WINDOW':
        if (scan.isName(1) && scan.wordAt(2) === 'AS') return this.#leaveTables(word, frame);
        return this.#pass();
      case 'FROM':
        if (!frame.periodFrom) scan.fail('FROM stands where no list of tables begins');
        frame.periodFrom = false;
        return this.#pass();
      default:
        if (ENDS_TABLES.has(word)) return this.#leaveTables(word, frame);
        if (SET_OPERATIONS.has(word) && (AFTER_SET_OPERATION.has(scan.wordAt(1)) || scan.isSymbol('(', 1))) {
          return this.#leaveTables(word, frame);
        }
        return false;
    }
  }

  #forClause(frame: Frame): true {
    const scan = this.#scan;
    switch (scan.wordAt(1)) {
      case 'JOIN':
      case 'ORDER':
      case 'GROUP':
        // USE INDEX FOR JOIN (…)
        scan.next();
        return this.#pass();
      case 'SYSTEM_TIME':
        frame.periodFrom = true;
        scan.next();
        return this.#pass();
      case 'PORTION':
        frame.periodFrom = true;
        scan.next();
        scan.next();
        scan.expect('OF');
        return true;
      default:
        return this.#leaveTables('FOR', frame);
    }
  }

  #leaveTables(word: string, frame: Frame): true {
    frame.tables = null;
    frame.expectTable = false;
    frame.periodFrom = false;
    if (!this.#inExpression(word, frame)) this.#scan.next();
    return true;
  }

  #pass(): true {
    this.#scan.next();
    return true;
  }

  #inExpression(word: string, frame: Frame): boolean {
    const scan = this.#scan;
    switch (word) {
      case 'SELECT':
        frame.query = true;
        return this.#pass();
      case 'FROM':
        scan.next();
        if (frame.periodFrom) frame.periodFrom = false;
        else if (frame.query) this.#beginTables(frame, 'reads');
        return true;
      case 'WITH':
        return this.#with();
      case 'INSERT':
      case 'REPLACE':
        return this.#insert();
      case 'UPDATE':
        return this.#update(frame);
      case 'DELETE':
        return this.#delete(frame);
      case 'TABLE':
        scan.next();
        if (scan.isName() || scan.isSymbol('.')) this.#table('reads');
        return true;
      case 'CALL':
        scan.next();
        this.#names.routine(scan.qualifiedName());
        return true;
      case 'REFERENCES':
        scan.next();
        this.#table('reads');
        return true;
      case 'UNION':
        scan.next();
        this.#mergeUnion(frame);
        return true;
      case 'NEXTVAL':
      case 'LASTVAL':
      case 'SETVAL':
        return this.#sequenceFunction(frame);
      case 'NEXT':
      case 'PREVIOUS':
        if (!scan.take(word, 'VALUE', 'FOR')) return false;
        this.#names.sequence(scan.qualifiedName());
        return true;
      default:
        return this.#body ? this.#inBody(word) : false;
    }
  }

  #inBody(word: string): boolean {
    const scan = this.#scan;
    if (DDL_VERBS.has(word)) {
      scan.databasesKnown = false;
      return this.#pass();
    }
    if (word === 'FETCH') {
      while (!scan.atEnd && !scan.isWord('INTO')) scan.next();
      return true;
    }
    return false;
  }

  #beginTables(frame: Frame, role: 'reads' | 'changes-rows'): void {
    frame.tables = role;
    frame.expectTable = true;
  }

  // ---- common table expressions

  #with(): boolean {
    const scan = this.#scan;
    const at = scan.wordAt(1) === 'RECURSIVE' ? 2 : 1;
    if (!scan.isName(at) || !(scan.wordAt(at + 1) === 'AS' || scan.isSymbol('(', at + 1)))
      return this.#pass();
    scan.next();
    this.#commonTable(scan.take('RECURSIVE'));
    return true;
  }

  #commonTable(recursive: boolean): void {
    const scan = this.#scan;
    const { name } = scan.name();
    if (scan.isSymbol('(')) scan.skipParentheses();
    scan.expect('AS');
    if (!scan.takeSymbol('(')) scan.fail('the query of a common table expression is missing');
    if (recursive) this.#frame.ctes.push(name);
    this.#open(this.#frame, { name, recursive });
  }

  /** @throws Unplaceable when only the letters' case differs: that depends on the server. */
  #isCommonTable({ database, name }: QualifiedName): boolean {
    if (database !== null) return false;
    const folded = name.name.toLowerCase();
    let doubtful = false;
    for (const { ctes } of this.#frames) {
      if (ctes.includes(name.name)) return true;
      doubtful ||= ctes.some((cte) => cte.toLowerCase() === folded);
    }
    if (doubtful) {
      this.#scan.fail(
        "a table's name differs from a common table expression's only in case",
        name.span.start,
      );
    }
    return false;
  }

  // ---- row statements

  #insert(): boolean {
    const scan = this.#scan;
    if (scan.isSymbol('(', 1)) return false;
    scan.next();
    scan.takeAll('LOW_PRIORITY', 'DELAYED', 'HIGH_PRIORITY', 'IGNORE');
    scan.take('INTO');
    this.#table('changes-rows');
    return true;
  }

  #update(frame: Frame): boolean {
    if (this.#previous === 'FOR' || this.#previous === 'KEY' || this.#previous === 'ON') return this.#pass();
    this.#scan.next();
    this.#scan.takeAll('LOW_PRIORITY', 'IGNORE');
    this.#beginTables(frame, 'changes-rows');
    return true;
  }

  #delete(frame: Frame): boolean {
    const scan = this.#scan;
    if (this.#previous === 'ON') return this.#pass();
    scan.next();
    scan.takeAll('LOW_PRIORITY', 'QUICK', 'IGNORE', 'HISTORY');
    const listFollows = !scan.take('FROM');
    const targets: QualifiedName[] = [];
    do targets.push(this.#names.deleteTarget());
    while (scan.takeSymbol(','));
    frame.query = true;
    if (listFollows) scan.expect('FROM');
    else if (!scan.take('USING')) {
      if (targets.length > 1) scan.fail('USING is missing');
      this.#noteTable(targets[0]!, 'changes-rows', null);
      frame.tables = 'reads';
      frame.expectTable = false;
      return true;
    }
    this.#names.deleteFrom(targets);
    this.#beginTables(frame, 'reads');
    return true;
  }

  // ---- names

  #table(role: 'reads' | 'changes-rows'): void {
    this.#noteTable(this.#scan.qualifiedName(), role, null);
  }

  #noteTable(written: QualifiedName, role: 'reads' | 'changes-rows', alias: string | null): void {
    if (!this.#isCommonTable(written)) this.#names.table(written, role, alias);
  }

  #sequenceFunction(frame: Frame): boolean {
    const scan = this.#scan;
    if (!scan.mariadb || !scan.isSymbol('(', 1)) return false;
    scan.next();
    scan.next();
    this.#open(frame);
    this.#names.sequence(scan.qualifiedName());
    return true;
  }

  /** UNION = (t1, t2) of a MERGE table; the UNION of queries has nothing to be read here. */
  #mergeUnion(frame: Frame): void {
    const scan = this.#scan;
    const list = scan.takeSymbol('=');
    if (
      !list &&
      (frame.query || !scan.isSymbol('(') || !scan.isName(1) || QUERY_STARTS.has(scan.wordAt(1)))
    ) {
      return;
    }
    if (!scan.takeSymbol('(')) scan.fail('the list of UNION is missing');
    if (scan.takeSymbol(')')) return;
    do this.#table('reads');
    while (scan.takeSymbol(','));
    if (!scan.takeSymbol(')')) scan.fail('the list of UNION is not closed');
  }

  /** A name in the text: a table where one is expected, else a chain of names in an expression. */
  #name(): void {
    const scan = this.#scan;
    const frame = this.#frame;
    if (frame.expectTable) {
      frame.expectTable = false;
      if (scan.isName() && scan.isSymbol('(', 1)) {
        // A table function: JSON_TABLE(…).
        scan.next();
        return;
      }
      const written = scan.qualifiedName();
      this.#noteTable(written, frame.tables ?? 'reads', this.#alias());
    } else {
      this.#previous = '';
      this.#names.chain();
    }
  }

  #alias(): string | null {
    const scan = this.#scan;
    if (scan.wordAt() === 'AS' && scan.isName(1) && scan.wordAt(1) !== 'OF') {
      scan.next();
      return scan.name().name;
    }
    if (
      !scan.isName() ||
      AFTER_TABLE.has(scan.wordAt()) ||
      ENDS_TABLES.has(scan.wordAt()) ||
      SET_OPERATIONS.has(scan.wordAt())
    )
      return null;
    if (scan.wordAt() === 'AS' || scan.wordAt() === 'WINDOW' || this.#body) return null;
    return scan.name().name;
  }
}

function words(list: string): ReadonlySet<string> {
  return new Set(list.split(' '));
}

function newFrame(body: Frame['body'] = null): Frame {
  return { query: false, tables: null, expectTable: false, periodFrom: false, ctes: [], body };
}
