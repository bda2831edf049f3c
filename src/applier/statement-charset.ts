/**
 * Which character set the text of a statement is in: mostly its client's, as the QUERY event says; but servers rewrite some
 * statements before they log them, and write names in UTF-8 whatever the event says:
 *
 *                                                    MySQL                            MariaDB
 *   CREATE TABLE … SELECT (logged as CREATE TABLE)   UTF-8                            UTF-8
 *   CREATE and ALTER USER, GRANT … ON, REVOKE … ON   UTF-8                            client's
 *   CREATE and ALTER VIEW                            up to AS: UTF-8, then client's   client's
 *   CREATE PROCEDURE and FUNCTION                    name and COMMENT: UTF-8          COMMENT: UTF-8
 *
 * The servers' own replicas misread these in silence, when the client does not speak UTF-8 and a name is not ASCII. Tables
 * and accounts do not remember who made them: such a text is sent as UTF-8. Views and routines remember the client's
 * character set: the server's parts are brought into it.
 * Facts: read in the binary logs of 9.7.4 and 10.11.18. Text is looked at as single bytes (latin1): the words looked for are
 * ASCII in every charset that a client may have.
 */
const NOT_ASCII = /[\x80-\xff]/;
const NAME = '`(?:[^`]|``)*`';

const ACCOUNTS = /^(?:(?:CREATE|ALTER) USER '|(?:GRANT|REVOKE) .* ON )/s;
const VIEW = new RegExp(
  String.raw`^(?:CREATE|ALTER) (?:OR REPLACE )?ALGORITHM=\w+ DEFINER=[\s\S]*? VIEW ${NAME}(?:\.${NAME})?(?: ?\([^)]*\))? AS `,
);
const ROUTINE = new RegExp(
  String.raw`^CREATE (?:OR REPLACE )?DEFINER=[\s\S]*? (?:PROCEDURE|FUNCTION) (?:IF NOT EXISTS )?${NAME}(?:\.${NAME})?`,
);
/** As the servers print it: a line of its own before the body. */
const COMMENT = /\n {4}COMMENT '(?:[^'\\]|\\[\s\S]|'')*'\n/;

/** Bytes [start, end) of a statement. */
export interface TextPart {
  readonly start: number;
  readonly end: number;
}

/** All of the text is the server's. `generatedTable`: a CREATE TABLE whose rows follow in the same transaction. */
export function isServerText(sql: Buffer, flavour: 'mysql' | 'mariadb', generatedTable: boolean): boolean {
  const text = sql.toString('latin1');
  if (!NOT_ASCII.test(text)) return false;
  return generatedTable || (flavour === 'mysql' && ACCOUNTS.test(text));
}

/** The parts that are the server's and not ASCII, in order. */
export function serverParts(sql: Buffer, flavour: 'mysql' | 'mariadb'): TextPart[] {
  const text = sql.toString('latin1');
  if (!NOT_ASCII.test(text)) return [];
  const routine = ROUTINE.exec(text);
  const matches = [
    flavour === 'mysql' ? (VIEW.exec(text) ?? routine) : null,
    routine === null ? null : COMMENT.exec(text),
  ];
  return matches
    .filter((match) => match !== null)
    .filter((match) => NOT_ASCII.test(match[0]))
    .map((match) => ({ start: match.index, end: match.index + match[0].length }));
}
