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
import { ClauseFrames, type CommonTable, DEPTH_MAX, type Frame } from './clause-frames.ts';
import { ClauseNames } from './clause-names.ts';
import { beginsNameAfter, beginsQuery, beginsStatement, canBeAlias, endsTables } from './clause-words.ts';
import { beginsInsert, readDelete, readInsert, readUnion, readUpdate } from './row-clauses.ts';
import type { StatementScan } from './statement-scan.ts';

/** Reads one statement, up to its semicolon. */
export type StatementReader = (scan: StatementScan) => void;

export interface ClauseOptions {
  /** It is the body of a stored program, in which this reads the statements that are not about rows. */
  readonly readInner?: StatementReader;
  /** Ends at a comma outside of parentheses, which is left. */
  readonly untilComma?: boolean;
  /** When NEXTVAL and SETVAL run, and not only stand in a definition. Left out: after SELECT, as in CREATE TABLE … SELECT. */
  readonly sequencesMove?: 'always' | 'never';
}

export class ClauseScan {
  readonly #scan: StatementScan;
  readonly #readInner: StatementReader | null;
  readonly #untilComma: boolean;
  #sequencesMove: 'always' | 'never' | 'after SELECT';
  readonly #frames = new ClauseFrames();
  #previous = '';
  #change: 'insert' | 'update' | 'delete' | null = null;
  readonly #names: ClauseNames;

  constructor(scan: StatementScan, { readInner, untilComma = false, sequencesMove }: ClauseOptions = {}) {
    this.#scan = scan;
    this.#sequencesMove = sequencesMove ?? 'after SELECT';
    this.#readInner = readInner ?? null;
    this.#untilComma = untilComma;
    this.#names = new ClauseNames(scan, this.#frames);
  }

  /** What the first row statement outside of parentheses does; null: there is none. */
  get change(): 'insert' | 'update' | 'delete' | null {
    return this.#change;
  }

  /** Reads to the end of the statement. */
  run(): void {
    const scan = this.#scan;
    for (;;) {
      const token = scan.peek();
      if (token.kind === 'end') break;
      if (token.kind === 'symbol') {
        if (token.text === ',' && this.#untilComma && this.#frames.outermost) break;
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
    if (!this.#frames.outermost) scan.fail('a parenthesis is not closed');
    this.#names.settleTargets();
  }

  /** False: it ends the statement. */
  #semicolon(): boolean {
    if (!this.#frames.outermost) this.#scan.fail('a parenthesis is not closed');
    if (this.#readInner === null) return false;
    this.#scan.next();
    this.#previous = '';
    this.#names.reset();
    this.#frames.reset();
    return true;
  }

  // ---- parentheses and commas

  #symbol(symbol: string): void {
    const scan = this.#scan;
    const frame = this.#frames.current;
    switch (symbol) {
      case '(':
        scan.next();
        this.#open();
        break;
      case ')':
        if (this.#frames.outermost) scan.fail('a parenthesis is closed that was not opened');
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

  #open(queryOf: CommonTable | null = null): void {
    if (!this.#frames.open(queryOf)) this.#scan.fail(`parentheses are nested deeper than ${DEPTH_MAX}`);
  }

  #close(): void {
    const ended = this.#frames.close();
    if (ended !== null && this.#scan.takeSymbol(',')) this.#commonTable(ended.recursive);
  }

  // ---- words

  #word(word: string): void {
    const scan = this.#scan;
    const frame = this.#frames.current;
    const dotted = scan.isSymbol('.', 1) && !beginsNameAfter(word);
    const handled =
      !dotted && (frame.tables === null ? this.#inExpression(word, frame) : this.#inTables(word, frame));
    if (!handled) this.#name();
    this.#previous = word;
  }

  /** False: it is a name, or nothing of interest. */
  #inTables(word: string, frame: Frame): boolean {
    const scan = this.#scan;
    if (frame.expectTable) {
      const row = scan.isSymbol('(', 1) || scan.wordAt(1) === 'ROW';
      if (beginsQuery(word) && (word !== 'VALUES' || row)) {
        this.#names.noTable();
        return this.#leaveTables(word, frame);
      }
      if (word === 'LATERAL' && (scan.isSymbol('(', 1) || scan.isSymbol('(', 2))) return this.#pass();
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
        return endsTables(scan) && this.#leaveTables(word, frame);
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
        this.#names.noTable();
        frame.query = true;
        frame.awaitsFrom = true;
        if (this.#sequencesMove === 'after SELECT') this.#sequencesMove = 'always';
        return this.#pass();
      case 'FROM':
        return this.#from(frame);
      case 'WITH':
        return this.#with();
      case 'INSERT':
      case 'REPLACE':
        if (!beginsInsert(scan)) return this.#pass();
        this.#begins('insert');
        readInsert(scan, this.#names);
        return true;
      case 'UPDATE':
        if (this.#previous === 'FOR' || this.#previous === 'KEY' || this.#previous === 'ON')
          return this.#pass();
        this.#begins('update');
        readUpdate(scan, this.#frames);
        return true;
      case 'DELETE':
        if (this.#previous === 'ON') return this.#pass();
        this.#begins('delete');
        readDelete(scan, this.#frames, this.#names);
        return true;
      case 'TABLE':
        this.#names.noTable();
        scan.next();
        if (scan.isName() || scan.isSymbol('.')) this.#names.table('reads');
        return true;
      case 'CALL':
        scan.next();
        this.#names.calledRoutine();
        return true;
      case 'REFERENCES':
        scan.next();
        this.#names.table('reads');
        return true;
      case 'UNION':
        readUnion(scan, this.#frames, this.#names);
        return true;
      case 'NEXTVAL':
      case 'LASTVAL':
      case 'SETVAL':
        return this.#sequenceFunction(word);
      case 'NEXT':
      case 'PREVIOUS':
        if (!scan.take(word, 'VALUE', 'FOR')) return false;
        this.#sequence(word === 'NEXT');
        return true;
      default:
        return this.#readInner === null ? false : this.#inBody(word, this.#readInner);
    }
  }

  #from(frame: Frame): true {
    // EXTRACT(x FROM y) stands in parentheses that are no query's.
    if (frame.awaitsFrom) this.#frames.beginTables('reads');
    else if (frame.query) this.#scan.fail('FROM stands where no list of tables begins');
    frame.awaitsFrom = false;
    return this.#pass();
  }

  #inBody(word: string, readInner: StatementReader): boolean {
    const scan = this.#scan;
    if (word === 'FETCH') {
      // Its FROM names a cursor.
      while (!scan.atEnd && !scan.isWord('INTO')) scan.next();
      return true;
    }
    if (scan.take('DROP', 'PREPARE')) return true;
    if (this.#statementAsText(word)) return true;
    switch (word) {
      case 'SHOW':
        this.#show();
        return true;
      case 'DESC':
      case 'DESCRIBE':
      case 'EXPLAIN':
        // DESC stands behind a column too, and EXPLAIN before a query; then no dot follows what follows.
        if (!scan.isName(1) || !scan.isSymbol('.', 2)) return false;
        scan.next();
        this.#names.table('reads');
        return true;
      case 'FOR':
        // EXPLAIN FOR SCHEMA db SELECT …
        if (!scan.take('FOR', 'SCHEMA') && !scan.take('FOR', 'DATABASE')) return false;
        scan.database('reads');
        return true;
      case 'CACHE':
        return scan.take('CACHE', 'INDEX') && this.#tablesOfCache();
      case 'LOAD':
        return scan.take('LOAD', 'INDEX', 'INTO', 'CACHE') && this.#tablesOfCache();
      case 'ROW':
        if (!scan.take('ROW', 'TYPE', 'OF')) return false;
        this.#names.table('reads');
        return true;
    }
    if (!beginsStatement(scan)) return false;
    readInner(scan);
    return true;
  }

  /** What follows FROM, IN, DATABASE and dots may be a database; no rule tells. */
  #show(): void {
    const scan = this.#scan;
    for (; !scan.atEnd; scan.next()) {
      if (scan.isWord('FROM', 'IN', 'DATABASE', 'SCHEMA') || scan.isSymbol('.')) scan.databasesKnown = false;
    }
  }

  /** {CACHE INDEX | LOAD INDEX INTO CACHE} t [PARTITION (…)] [INDEX (…)] [IGNORE LEAVES], … [IN cache] */
  #tablesOfCache(): true {
    const scan = this.#scan;
    do {
      this.#names.table('reads');
      while (!scan.atEnd && !scan.isSymbol(',')) {
        if (scan.isSymbol('(')) scan.skipParentheses();
        else scan.next();
      }
    } while (scan.takeSymbol(','));
    return true;
  }

  /** PREPARE s FROM …, EXECUTE IMMEDIATE …: what it will name is not known before it runs. */
  #statementAsText(word: string): boolean {
    const scan = this.#scan;
    const { awaitsFrom } = this.#frames.current;
    if (word === 'PREPARE' && !awaitsFrom && scan.isName(1) && scan.wordAt(2) === 'FROM') {
      scan.next();
      scan.next();
      scan.next();
    } else if (!(word === 'EXECUTE' && !scan.isSymbol(';', 2) && scan.take('EXECUTE', 'IMMEDIATE'))) {
      return false;
    }
    scan.databasesKnown = false;
    return true;
  }

  #begins(change: 'insert' | 'update' | 'delete'): void {
    if (this.#frames.outermost) this.#change ??= change;
  }

  // ---- common table expressions

  #with(): boolean {
    const scan = this.#scan;
    if (scan.isSymbol('(', 1)) {
      // WITH (INSERT, UPDATE) of a duality view.
      scan.next();
      scan.skipParentheses();
      return true;
    }
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
    if (recursive) this.#frames.show({ name, recursive });
    this.#open({ name, recursive });
  }

  // ---- names

  #sequenceFunction(word: string): boolean {
    const scan = this.#scan;
    if (!scan.mariadb || !scan.isSymbol('(', 1) || this.#previous === 'KEY' || this.#previous === 'INDEX') {
      return false;
    }
    scan.next();
    scan.next();
    this.#open();
    this.#sequence(word !== 'LASTVAL');
    return true;
  }

  #sequence(moves: boolean): void {
    const moved = moves && this.#sequencesMove === 'always';
    this.#names.sequence(this.#scan.qualifiedName(), moved ? 'changes-rows' : 'reads');
  }

  /** A name in the text: a table where one is expected, else a chain of names in an expression. */
  #name(): void {
    const scan = this.#scan;
    const frame = this.#frames.current;
    if (frame.expectTable) {
      frame.expectTable = false;
      if (scan.isName() && scan.isSymbol('(', 1)) {
        // A table function: JSON_TABLE(…).
        this.#names.noTable();
        scan.next();
        return;
      }
      const written = scan.qualifiedName();
      this.#names.tableAs(written, frame.tables ?? 'reads', this.#alias());
    } else {
      this.#previous = '';
      this.#names.chain();
    }
  }

  #alias(): string | null {
    const scan = this.#scan;
    if (scan.isWord('PARTITION') && scan.isSymbol('(', 1)) {
      scan.next();
      scan.skipParentheses();
    }
    if (scan.wordAt() === 'AS' && scan.isName(1) && scan.wordAt(1) !== 'OF') {
      scan.next();
      return scan.name().name;
    }
    if (!scan.isName() || !canBeAlias(scan.wordAt())) return null;
    return scan.name().name;
  }
}
