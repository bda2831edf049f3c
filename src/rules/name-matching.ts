/**
 * When two names are the same, and when a name matches a pattern: as the server that would replicate compares them.
 *
 *                      do_db, ignore_db, rewrite_db            do_table, ignore_table    wild_do_table, wild_ignore_table
 *   MySQL, lctn 0      byte by byte                            byte by byte              byte by byte: `_` is one byte
 *   MySQL, lctn 1, 2   without case                            without case              without case: `_` is one character
 *   MariaDB            byte by byte; lctn 1, 2: the event's    utf8mb3_general_ci, and   utf8mb3_general_ci
 *                      name in lower case, the rule's as it is as many bytes
 *
 * lctn: lower_case_table_names of the target. utf8mb3_general_ci knows neither case nor accents: `Café` is `cafe`, but not as
 * many bytes.
 *
 * Patterns: `%` any number of characters, `_` one; a backslash takes the next character as it is.
 * Facts: comparisons seen on 9.7.4 and 10.11.18 (test/fixtures/filters).
 */

export interface NameDialect {
  readonly flavour: 'mysql' | 'mariadb';
  /** Of the target. */
  readonly lowerCaseTableNames: number;
}

export interface NameMatching {
  /** A rule about databases means those whose key is the rule's. */
  databaseKey(name: string): string;
  databaseRuleKey(rule: string): string;
  /** The same for `database.table`, in names and rules. */
  tableKey(name: string): string;
  /** Rules with patterns over `database.table` are asked with this. */
  patternKey(name: string): string;
  pattern(pattern: string): NamePattern;
}

export type NamePattern = (patternKey: string) => boolean;

export function nameMatching({ flavour, lowerCaseTableNames }: NameDialect): NameMatching {
  const mariadb = flavour === 'mariadb';
  const exact = (name: string): string => name;
  const patternKey = mariadb ? generalCi : lowerCaseTableNames > 0 ? lower : bytes;
  const sized = (name: string): string => `${Buffer.byteLength(name)} ${generalCi(name)}`;
  return {
    databaseKey: lowerCaseTableNames > 0 ? lower : exact,
    databaseRuleKey: lowerCaseTableNames > 0 && flavour === 'mysql' ? lower : exact,
    tableKey: mariadb ? sized : patternKey,
    patternKey,
    pattern: (pattern) => compilePattern(patternKey(pattern)),
  };
}

/** A character for each byte. */
function bytes(name: string): string {
  return Buffer.from(name).toString('latin1');
}

/** Character by character, as the servers do: a final sigma is no other letter to them. */
function lower(name: string): string {
  if (/^[\x20-\x7e]*$/.test(name)) return name.toLowerCase();
  let key = '';
  for (const character of name) key += character.toLowerCase()[0]!;
  return key;
}

function generalCi(name: string): string {
  if (/^[\x20-\x7e]*$/.test(name)) return name.toUpperCase();
  let key = '';
  for (const character of name) key += character.normalize('NFD')[0]!.toUpperCase()[0]!;
  return key;
}

const ONE = null;
const MANY = Symbol('any number of characters');

type Part = string | typeof ONE | typeof MANY;

function compilePattern(pattern: string): NamePattern {
  const parts: Part[] = [];
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at]!;
    if (character === '\\' && at + 1 < pattern.length) parts.push(pattern[++at]!);
    else if (character === '_') parts.push(ONE);
    else if (character !== '%') parts.push(character);
    else if (parts.at(-1) !== MANY) parts.push(MANY);
  }
  return (name) => matches(name, parts);
}

/** Takes as little for a `%` as will do, and one more when the rest does not match: never more than name × pattern steps. */
function matches(name: string, parts: readonly Part[]): boolean {
  let at = 0;
  let part = 0;
  let star = -1;
  let starAt = 0;
  while (at < name.length) {
    const wanted = parts[part];
    if (wanted === MANY) {
      star = part++;
      starAt = at;
    } else if (part < parts.length && (wanted === ONE || wanted === name[at])) {
      part += 1;
      at += 1;
    } else if (star >= 0) {
      part = star + 1;
      at = ++starAt;
    } else return false;
  }
  while (parts[part] === MANY) part += 1;
  return part === parts.length;
}
