/**
 * A walk over the tokens of one statement that gathers the objects it names. The readers of the single kinds of statement
 * share it: they take words, names and lists from it in the order of the grammar.
 *
 * What does not fit is thrown as `Unplaceable` and caught in read-statement.ts: it never leaves the folder.
 */
import { SqlTokens, type Token } from './sql-tokens.ts';
import type {
  NamedDatabase,
  NamedObject,
  ObjectKind,
  ObjectRole,
  Span,
  StatementDialect,
} from './statement-reading.ts';

/** Reading has ended before the statement has. Not an error: a result. */
export class Unplaceable {
  readonly why: string;
  readonly at: number;

  constructor(why: string, at: number) {
    this.why = why;
    this.at = at;
  }
}

/** A name as it is written, in up to three parts: `db.t.c`. */
export interface WrittenName {
  readonly name: string;
  readonly span: Span;
}

export interface QualifiedName {
  readonly database: WrittenName | null;
  readonly name: WrittenName;
}

const BODIES_MAX = 2;

export class StatementScan {
  readonly dialect: StatementDialect;
  readonly tokens: SqlTokens;
  readonly objects: NamedObject[] = [];
  readonly databases: NamedDatabase[] = [];
  databasesKnown = true;
  ifExists = false;
  temporary = false;
  verb = '';
  replaces = false;
  empties = false;
  updateListIsPlain = true;
  #bodies = 0;

  constructor(sql: Buffer, dialect: StatementDialect) {
    this.dialect = dialect;
    this.tokens = new SqlTokens(sql, dialect);
  }

  get mariadb(): boolean {
    return this.dialect.flavour === 'mariadb';
  }

  /** In a stored program: only databases are noted, what it does it does later. */
  get inBody(): boolean {
    return this.#bodies > 0;
  }

  /** A procedure may create an event, and no program comes deeper. */
  enterBody(): void {
    if (this.#bodies === BODIES_MAX) this.fail('a stored program stands in one that stands in one');
    this.#bodies += 1;
  }

  leaveBody(): void {
    this.#bodies -= 1;
  }

  // ---- words

  peek(distance = 0): Token {
    return this.tokens.peek(distance);
  }

  next(): Token {
    return this.tokens.next();
  }

  /** The word at `distance`, upper case; empty: another token stands there. */
  wordAt(distance = 0): string {
    const token = this.tokens.peek(distance);
    return token.kind === 'word' ? token.text : '';
  }

  isWord(...words: readonly string[]): boolean {
    return words.includes(this.wordAt());
  }

  /** Takes the words when all of them stand here, in this order. */
  take(...words: readonly string[]): boolean {
    for (let i = 0; i < words.length; i++) if (this.wordAt(i) !== words[i]) return false;
    for (let i = 0; i < words.length; i++) this.tokens.next();
    return true;
  }

  takeOneOf(...words: readonly string[]): string | null {
    const word = this.wordAt();
    if (word === '' || !words.includes(word)) return null;
    this.tokens.next();
    return word;
  }

  /** Takes any of these, as long as they come. */
  takeAll(...words: readonly string[]): void {
    while (this.takeOneOf(...words) !== null);
  }

  expect(...words: readonly string[]): void {
    for (const word of words) if (!this.take(word)) this.fail(`${word} is missing`);
  }

  isSymbol(symbol: string, distance = 0): boolean {
    const token = this.tokens.peek(distance);
    return token.kind === 'symbol' && token.text === symbol;
  }

  takeSymbol(symbol: string): boolean {
    if (!this.isSymbol(symbol)) return false;
    this.tokens.next();
    return true;
  }

  fail(why: string, at = this.tokens.peek().start): never {
    throw new Unplaceable(this.tokens.trouble ?? why, at);
  }

  // ---- the end

  get atEnd(): boolean {
    return this.tokens.peek().kind === 'end' || this.isSymbol(';');
  }

  /** Nothing follows but, at most, semicolons. */
  expectEnd(): void {
    while (this.takeSymbol(';'));
    const token = this.tokens.peek();
    if (token.kind !== 'end') this.fail('something follows the end of the statement');
    if (this.tokens.trouble !== null) this.fail(this.tokens.trouble);
  }

  /** Passes over the rest, in which no names are looked for. */
  skipRest(): void {
    while (!this.atEnd) this.tokens.next();
  }

  /** At an opening parenthesis: goes behind the one that closes it. */
  skipParentheses(): void {
    let depth = 0;
    do {
      const token = this.tokens.next();
      if (token.kind === 'end') this.fail('a parenthesis is not closed');
      if (token.kind === 'symbol' && token.text === '(') depth += 1;
      if (token.kind === 'symbol' && token.text === ')') depth -= 1;
    } while (depth > 0);
  }

  // ---- names

  isName(distance = 0): boolean {
    const { kind } = this.tokens.peek(distance);
    return kind === 'word' || kind === 'name';
  }

  name(): WrittenName {
    if (!this.isName()) this.fail('a name is missing');
    const token = this.tokens.next();
    const name = this.tokens.nameOf(token);
    if (name === null) {
      this.fail(`a name cannot be read in the character set ${this.dialect.charset}`, token.start);
    }
    return { name, span: { start: token.start, end: token.end } };
  }

  /** t, db.t, .t */
  qualifiedName(): QualifiedName {
    if (this.takeSymbol('.')) return { database: null, name: this.name() };
    const first = this.name();
    if (!this.takeSymbol('.')) return { database: null, name: first };
    const name = this.name();
    if (this.isSymbol('.')) this.fail('a name has too many parts');
    return { database: first, name };
  }

  /** Reads a name and notes the object. */
  object(kind: ObjectKind, role: ObjectRole, updating: boolean): NamedObject {
    return this.note(this.qualifiedName(), kind, role, updating);
  }

  note(
    { database, name }: QualifiedName,
    kind: ObjectKind,
    role: ObjectRole,
    updating: boolean,
  ): NamedObject {
    const object: NamedObject = {
      kind,
      role,
      database: database?.name ?? null,
      name: name.name,
      databaseSpan: database?.span ?? null,
      nameSpan: name.span,
      updating,
    };
    if (!this.inBody) this.objects.push(object);
    if (database !== null) this.databases.push(database);
    return object;
  }

  database(role: ObjectRole): void {
    const written = this.name();
    this.#noteDatabase(written, role);
    this.databases.push(written);
  }

  noteDefaultDatabase(role: ObjectRole): void {
    this.#noteDatabase(null, role);
  }

  #noteDatabase(written: WrittenName | null, role: ObjectRole): void {
    if (this.inBody) return;
    this.objects.push({
      kind: 'database',
      role,
      database: written?.name ?? null,
      name: '',
      databaseSpan: written?.span ?? null,
      nameSpan: null,
      updating: false,
    });
  }

  /** Gives an object that was noted another role. */
  reassign(at: number, role: ObjectRole): void {
    const object = this.objects[at];
    if (object !== undefined && !this.inBody) this.objects[at] = { ...object, role };
  }

  /** a, b, c */
  objectList(kind: ObjectKind, role: ObjectRole, updating: boolean): void {
    do this.object(kind, role, updating);
    while (this.takeSymbol(','));
  }

  takeIfExists(): void {
    if (this.take('IF', 'EXISTS') && !this.inBody) this.ifExists = true;
  }

  takeIfNotExists(): void {
    if (this.take('IF', 'NOT', 'EXISTS') && !this.inBody) this.ifExists = true;
  }

  /** WAIT n and NOWAIT of MariaDB. */
  takeLockWait(): void {
    if (this.take('NOWAIT')) return;
    if (this.wordAt() === 'WAIT' && this.tokens.peek(1).kind === 'number') {
      this.tokens.next();
      this.tokens.next();
    }
  }
}
