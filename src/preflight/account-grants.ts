/**
 * What an account may do, read from the server's own words: SHOW GRANTS with the roles that are active.
 *
 *   GRANT SELECT, INSERT ON `shop`.* TO …          a schema; `_` and `%` are patterns unless a backslash stands before them
 *   GRANT ALL PRIVILEGES ON *.* TO …               everything
 *   GRANT REPLICATION_APPLIER ON *.* TO …          dynamic privileges
 *   REVOKE INSERT ON `shop`.* FROM …               MySQL's partial revokes
 *   GRANT SELECT (`a`), INSERT ON `shop`.`t` TO …  a table
 *
 * Lines that do not have this form (roles, PROXY, EXECUTE on routines) grant nothing of what is asked here. The text may
 * hold a password's hash (MariaDB): nothing but names of privileges and objects is kept.
 */

interface Grant {
  readonly privileges: ReadonlySet<string>;
  readonly everything: boolean;
  /** Null: every schema. */
  readonly schema: string | null;
  /** Null: every table of the schema. */
  readonly table: string | null;
  readonly revoked: boolean;
}

const NAME = '(\\*|`(?:[^`]|``)*`)';
const LINE = new RegExp(`^(GRANT|REVOKE) (.+?) ON (?:TABLE )?${NAME}\\.${NAME} (?:TO|FROM) `, 's');
const ALL = /^ALL(?: PRIVILEGES)?$/;

export class AccountGrants {
  readonly #grants: readonly Grant[];

  private constructor(grants: readonly Grant[]) {
    this.#grants = grants;
  }

  static parse(lines: readonly string[]): AccountGrants {
    return new AccountGrants(lines.map(parseLine).filter((grant) => grant !== null));
  }

  /** On *.*. ALL PRIVILEGES counts for static privileges and, on MariaDB, for all there are. */
  hasGlobal(privilege: string): boolean {
    return this.#grants.some((grant) => grant.schema === null && !grant.revoked && covers(grant, privilege));
  }

  /** On every table of the schema. */
  hasOnSchema(schema: string, privilege: string): boolean {
    const concerned = this.#grants.filter(
      (grant) => grant.table === null && covers(grant, privilege) && matches(grant.schema, schema),
    );
    return concerned.some(({ revoked }) => !revoked) && !concerned.some(({ revoked }) => revoked);
  }

  /** On anything at all, besides the schema `except`. */
  hasAnywhere(privilege: string, except = ''): boolean {
    return this.#grants.some(
      (grant) => !grant.revoked && covers(grant, privilege) && grant.schema !== except,
    );
  }

  /** The privileges of `wanted` that the account lacks on the schema. */
  missingOnSchema(schema: string, wanted: readonly string[]): string[] {
    return wanted.filter((privilege) => !this.hasOnSchema(schema, privilege));
  }
}

function parseLine(line: string): Grant | null {
  const parts = LINE.exec(line);
  if (parts === null) return null;
  const [, verb, list, schema, table] = parts as unknown as [string, string, string, string, string];
  // Columns in brackets: a right on columns is no right on the table.
  const names = list
    .split(/,(?![^(]*\))/)
    .map((name) => name.trim())
    .filter((name) => !name.includes('('))
    .map((name) => name.toUpperCase());
  return {
    privileges: new Set(names),
    everything: names.some((name) => ALL.test(name)),
    schema: unquoted(schema),
    table: unquoted(table),
    revoked: verb === 'REVOKE',
  };
}

function unquoted(name: string): string | null {
  return name === '*' ? null : name.slice(1, -1).replaceAll('``', '`');
}

function covers(grant: Grant, privilege: string): boolean {
  return grant.everything || grant.privileges.has(privilege);
}

/** A schema's name in a GRANT is a LIKE pattern. */
function matches(pattern: string | null, schema: string): boolean {
  if (pattern === null) return true;
  let expression = '';
  for (let i = 0; i < pattern.length; i++) {
    let character = pattern[i]!;
    if (character === '\\' && i + 1 < pattern.length) character = pattern[++i]!;
    else if (character === '%' || character === '_') {
      expression += character === '%' ? '[^]*' : '[^]';
      continue;
    }
    expression += character.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  }
  return new RegExp(`^${expression}$`).test(schema);
}
