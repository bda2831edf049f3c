/**
 * Accounts, roles and privileges. Only GRANT and REVOKE … ON name objects of databases:
 *
 *   ON [TABLE] *   *.*   db.*   t   db.t        ON {FUNCTION | PROCEDURE | PACKAGE [BODY] | LIBRARY} [db.]r
 *
 * The name before `.*` is a pattern: `shop\_%`. MySQL and MariaDB put the object of a GRANT into the list of tables to be
 * updated, a routine too: the table filters look at it.
 */
import type { ObjectKind } from './statement-reading.ts';
import type { StatementScan } from './statement-scan.ts';
import type { ChangeKind } from './target-rules.ts';

/** CREATE, ALTER, DROP, RENAME USER and ROLE, SET PASSWORD and DEFAULT ROLE: the rest of it names accounts only. */
export function readAccount(scan: StatementScan): ChangeKind {
  scan.skipRest();
  return 'account';
}

/** The verb has been taken. */
export function readGrant(scan: StatementScan): ChangeKind {
  skipPrivileges(scan);
  if (scan.take('ON') && !scan.isWord('PROXY')) readPrivilegeLevel(scan);
  scan.skipRest();
  return 'account';
}

/** SELECT, UPDATE (a, b), ALL PRIVILEGES; or roles and PROXY, then ON belongs to an account. */
function skipPrivileges(scan: StatementScan): void {
  const isProxy = scan.isWord('PROXY');
  while (!scan.atEnd && !scan.isWord('ON', 'TO', 'FROM')) {
    if (scan.isSymbol('(')) scan.skipParentheses();
    else scan.next();
  }
  if (isProxy) scan.skipRest();
}

function readPrivilegeLevel(scan: StatementScan): void {
  const kind = objectKind(scan);
  if (scan.takeSymbol('*')) {
    if (scan.takeSymbol('.') && !scan.takeSymbol('*')) scan.fail('the level of the privilege cannot be read');
    return;
  }
  if (scan.isName() && scan.isSymbol('.', 1) && scan.isSymbol('*', 2)) {
    scan.database('grants');
    scan.next();
    scan.next();
  } else scan.object(kind, 'grants', true);
}

function objectKind(scan: StatementScan): ObjectKind {
  // A table can be called `function`: then its name is all there is before TO or FROM.
  const alone = ['TO', 'FROM'].includes(scan.wordAt(1)) || scan.isSymbol('.', 1);
  if (alone) return 'table';
  if (scan.take('TABLE')) return 'table';
  if (scan.take('PACKAGE', 'BODY')) return 'routine';
  return scan.takeOneOf('FUNCTION', 'PROCEDURE', 'PACKAGE', 'LIBRARY') === null ? 'table' : 'routine';
}
