/**
 * CURRENT_USER of the source's session in a statement about definers and accounts.
 *
 * Servers write most definers and grantees out (CREATE PROCEDURE becomes CREATE DEFINER=…). Where they leave it to the
 * replica, the QUERY event names the invoker (Q_INVOKER), and a replica takes it for CURRENT_USER. A client cannot, so
 * the name is put into the statement:
 *
 *   ALTER [DEFINER=CURRENT_USER] EVENT …    the event's definer becomes whoever alters it       ALTER DEFINER=`u`@`h` EVENT …
 *   CREATE … DEFINER=CURRENT_USER …         where a server did not write it out                 CREATE … DEFINER=`u`@`h` …
 *   GRANT role TO CURRENT_USER and such     statements about accounts                           GRANT role TO `u`@`h`
 *   CREATE ROLE r                           MariaDB: its administrator                          CREATE ROLE r WITH ADMIN `u`@`h`
 *
 * Facts: seen in the binary logs of 9.7.4 and 10.11.18. The text is read by the servers' own tokens (rules/sql-tokens.ts), so
 * what stands in strings and comments is never taken for it; the names put in are ASCII, which every client's charset holds.
 */
import { MillraceError } from '../base/errors.ts';
import { SqlTokens, type Token } from '../rules/sql-tokens.ts';
import type { StatementDialect } from '../rules/statement-reading.ts';
import { quoteIdentifier } from '../target/session-context.ts';

export interface Invoker {
  readonly user: string;
  readonly host: string;
}

/** `text` in the place of the bytes [start, end). */
interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** What ends the attributes of CREATE and ALTER. */
const KINDS: ReadonlySet<string> = new Set(
  'EVENT PROCEDURE FUNCTION TRIGGER VIEW PACKAGE LIBRARY USER ROLE TABLE INDEX DATABASE SCHEMA SEQUENCE SERVER TABLESPACE'.split(
    ' ',
  ),
);

/** The statement with the invoker's name where CURRENT_USER is meant; the same buffer when nothing is to be done. */
export function nameInvoker(sql: Buffer, invoker: Invoker | null, dialect: StatementDialect): Buffer {
  if (invoker === null || invoker.user === '') return sql;
  const places = new InvokerPlaces(sql, dialect).find();
  if (places.length === 0) return sql;
  const name = account(invoker);
  const pieces: Buffer[] = [];
  let at = 0;
  for (const { start, end, text } of places) {
    pieces.push(
      sql.subarray(at, start),
      Buffer.from(
        text.replace('?', () => name),
        'latin1',
      ),
    );
    at = end;
  }
  return Buffer.concat([...pieces, sql.subarray(at)]);
}

/** Finds where the invoker's name belongs; it is a `?` in the texts. */
class InvokerPlaces {
  readonly #tokens: SqlTokens;
  readonly #mariadb: boolean;
  readonly #places: Edit[] = [];

  constructor(sql: Buffer, dialect: StatementDialect) {
    this.#tokens = new SqlTokens(sql, dialect);
    this.#mariadb = dialect.flavour === 'mariadb';
  }

  find(): readonly Edit[] {
    this.#statement();
    // What cannot be read to its end is left as it is: the server will say the same of it.
    return this.#tokens.trouble === null ? this.#places : [];
  }

  #statement(): void {
    const verb = wordOf(this.#tokens.next());
    if (verb === 'CREATE' || verb === 'ALTER') this.#definer(verb);
    else if (verb === 'SET') this.#set();
    else if (verb === 'GRANT' || verb === 'REVOKE') this.#everywhere();
    else if ((verb === 'DROP' || verb === 'RENAME') && (this.#at('USER') || this.#at('ROLE'))) {
      this.#everywhere();
    }
  }

  /** SET PASSWORD, SET DEFAULT ROLE; SET STATEMENT … FOR a statement. */
  #set(): void {
    if (this.#at('PASSWORD') || (this.#at('DEFAULT') && wordOf(this.#tokens.peek(1)) === 'ROLE')) {
      this.#everywhere();
    } else if (this.#mariadb && this.#at('STATEMENT')) {
      let token = this.#tokens.next();
      while (token.kind !== 'end' && wordOf(token) !== 'FOR') token = this.#tokens.next();
      this.#statement();
    }
  }

  #definer(verb: 'CREATE' | 'ALTER'): void {
    let written = false;
    for (let token = this.#tokens.next(); token.kind !== 'end'; token = this.#tokens.next()) {
      const word = wordOf(token);
      if (word === 'DEFINER' && symbolOf(this.#tokens.peek()) === '=') {
        written = true;
        this.#tokens.next();
        const user = this.#tokens.next();
        if (wordOf(user) === 'CURRENT_USER') this.#takesPlaceOf(user);
      } else if (KINDS.has(word)) {
        if (word === 'USER' || word === 'ROLE') this.#accounts(verb === 'CREATE' && word === 'ROLE');
        else if (word === 'EVENT' && verb === 'ALTER' && !written) this.#before(token, 'DEFINER=? ');
        return;
      } else if (token.kind === 'symbol' && token.text !== '=') return;
    }
  }

  #accounts(createsRole: boolean): void {
    const { end, hasAdministrator } = this.#everywhere();
    if (createsRole && this.#mariadb && !hasAdministrator) {
      this.#places.push({ start: end, end, text: ' WITH ADMIN ?' });
    }
  }

  /** Every CURRENT_USER of the rest. `end`: of the last token but semicolons. */
  #everywhere(): { readonly end: number; readonly hasAdministrator: boolean } {
    let end = 0;
    let before = '';
    let hasAdministrator = false;
    for (let token = this.#tokens.next(); token.kind !== 'end'; token = this.#tokens.next()) {
      const word = wordOf(token);
      if (word === 'CURRENT_USER') this.#takesPlaceOf(token);
      if (word === 'ADMIN' && before === 'WITH') hasAdministrator = true;
      if (symbolOf(token) !== ';') end = token.end;
      before = word;
    }
    return { end, hasAdministrator };
  }

  /** CURRENT_USER, CURRENT_USER() */
  #takesPlaceOf({ start, end }: Token): void {
    const call = symbolOf(this.#tokens.peek()) === '(' && symbolOf(this.#tokens.peek(1)) === ')';
    if (call) this.#tokens.next();
    this.#places.push({ start, end: call ? this.#tokens.next().end : end, text: '?' });
  }

  #before({ start }: Token, text: string): void {
    this.#places.push({ start, end: start, text });
  }

  #at(word: string): boolean {
    return wordOf(this.#tokens.peek()) === word;
  }
}

function wordOf({ kind, text }: Token): string {
  return kind === 'word' ? text : '';
}

function symbolOf({ kind, text }: Token): string {
  return kind === 'symbol' ? text : '';
}

/** A role has no host. */
function account({ user, host }: Invoker): string {
  const name = host === '' ? quoteIdentifier(user) : `${quoteIdentifier(user)}@${quoteIdentifier(host)}`;
  if (/^[\x20-\x7e]*$/.test(name)) return name;
  throw new MillraceError(
    'UNSUPPORTED',
    `a statement was run by ${name}, whose name is not ASCII and cannot be put into it`,
    { hint: 'Run the statement again on the source with the account written out, or on the target by hand.' },
  );
}
