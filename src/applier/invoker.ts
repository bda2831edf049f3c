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
 * Facts: seen in the binary logs of 9.7.4 and 10.11.18. The text is taken as single bytes (latin1): the words looked for are
 * ASCII in every charset that a client may have.
 */
import { MillraceError } from '../base/errors.ts';
import { quoteIdentifier } from '../target/session-context.ts';

export interface Invoker {
  readonly user: string;
  readonly host: string;
}

const COMMENTS = String.raw`\s*(?:\/\*(?!!)[\s\S]*?\*\/\s*)*`;
const CURRENT_USER = String.raw`CURRENT_USER\b(?:\s*\(\s*\))?`;

const ALTER_EVENT = new RegExp(
  String.raw`^(${COMMENTS}ALTER\s+)(?:DEFINER\s*=\s*${CURRENT_USER}\s+)?(EVENT\b)`,
  'i',
);
const DEFINER = new RegExp(
  String.raw`^(${COMMENTS}(?:CREATE|ALTER)\b[^'"\x60(;]{0,200}?\bDEFINER\s*=\s*)${CURRENT_USER}`,
  'i',
);
const ACCOUNT_STATEMENT = new RegExp(
  String.raw`^${COMMENTS}(?:GRANT|REVOKE|SET\s+(?:DEFAULT\s+ROLE|PASSWORD)|(?:CREATE|ALTER|DROP|RENAME)\s+(?:OR\s+REPLACE\s+)?(?:USER|ROLE))\b`,
  'i',
);
const CREATE_ROLE = new RegExp(String.raw`^${COMMENTS}CREATE\s+(?:OR\s+REPLACE\s+)?ROLE\b`, 'i');
const WITH_ADMIN = /\bWITH\s+ADMIN\b/i;
/** Quoted things are passed over, CURRENT_USER is what is looked for. */
const TOKENS = new RegExp(
  String.raw`'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|\x60[^\x60]*\x60|(\b${CURRENT_USER})`,
  'gi',
);

/** The statement with the invoker's name where CURRENT_USER is meant; the same buffer when nothing is to be done. */
export function nameInvoker(sql: Buffer, invoker: Invoker | null, flavour: 'mysql' | 'mariadb'): Buffer {
  if (invoker === null || invoker.user === '') return sql;
  const text = sql.toString('latin1');
  const named = rewrite(text, account(invoker), flavour);
  return named === text ? sql : Buffer.from(named, 'latin1');
}

function rewrite(text: string, name: string, flavour: 'mysql' | 'mariadb'): string {
  if (ALTER_EVENT.test(text))
    return text.replace(ALTER_EVENT, (_, alter, event) => `${alter}DEFINER=${name} ${event}`);
  if (DEFINER.test(text)) return text.replace(DEFINER, (_, head) => `${head}${name}`);
  if (!ACCOUNT_STATEMENT.test(text)) return text;
  const named = text.replace(TOKENS, (whole, found) => (found === undefined ? whole : name));
  if (flavour === 'mariadb' && CREATE_ROLE.test(text) && !WITH_ADMIN.test(text))
    return `${named} WITH ADMIN ${name}`;
  return named;
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
