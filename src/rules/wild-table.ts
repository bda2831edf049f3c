/**
 * Patterns of table names as replicate_wild_do_table has them: `%` stands for any characters, `_` for one, a backslash takes
 * the meaning from the character behind it; the first dot parts database and table.
 */

/** Why a text is no such pattern; null: it is one. */
export function wildTableProblem(pattern: string): string | null {
  const dot = pattern.indexOf('.');
  if (dot > 0 && dot < pattern.length - 1) return null;
  return `${JSON.stringify(pattern)} is no pattern of tables; write database.table, like "shop.%"`;
}

/** Names are compared without regard to case. */
export class WildTable {
  readonly #database: readonly Part[];
  readonly #table: readonly Part[];

  constructor(pattern: string) {
    const dot = pattern.indexOf('.');
    this.#database = parse(pattern.slice(0, dot));
    this.#table = parse(pattern.slice(dot + 1));
  }

  matches(database: string, table: string): boolean {
    return this.matchesDatabase(database) && matches(this.#table, table);
  }

  /** Some table of the database could match. */
  matchesDatabase(database: string): boolean {
    return matches(this.#database, database);
  }
}

const MANY = Symbol('any characters');
const ONE = Symbol('one character');
type Part = string | typeof MANY | typeof ONE;

function parse(pattern: string): Part[] {
  const parts: Part[] = [];
  const characters = [...pattern.toLowerCase()];
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at]!;
    if (character === '%') parts.push(MANY);
    else if (character === '_') parts.push(ONE);
    else if (character === '\\' && at + 1 < characters.length) parts.push(characters[++at]!);
    else parts.push(character);
  }
  return parts;
}

/** Goes back to the last MANY only, so the time is bounded by the product of the lengths. */
function matches(parts: readonly Part[], name: string): boolean {
  const characters = [...name.toLowerCase()];
  let part = 0;
  let many = -1;
  let manyAt = 0;
  for (let at = 0; at < characters.length; ) {
    const wanted = parts[part];
    if (wanted === MANY) {
      many = part++;
      manyAt = at;
    } else if (wanted === ONE || wanted === characters[at]) {
      part++;
      at++;
    } else if (many >= 0) {
      part = many + 1;
      at = ++manyAt;
    } else return false;
  }
  while (parts[part] === MANY) part++;
  return part === parts.length;
}
