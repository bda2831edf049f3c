/**
 * The target's collations by their ids: the source's events name a character set by the id of a collation.
 *
 * MariaDB 10.10 and later leave the ids out of COLLATIONS where a name stands for several character sets (uca1400); there
 * they are in COLLATION_CHARACTER_SET_APPLICABILITY.
 */
import { MillraceError } from '../base/errors.ts';
import type { WireConnection } from '../wire/connection.ts';
import type { TargetFacts } from './target-facts.ts';

export interface CollationNames {
  readonly charset: string;
  readonly collation: string;
}

export type Collations = ReadonlyMap<number, CollationNames>;

const APPLICABILITY_SINCE = 101000;
const NAME = /^[a-zA-Z0-9_]+$/;

export async function readCollations(control: WireConnection, facts: TargetFacts): Promise<Collations> {
  const full = facts.flavour === 'mariadb' && facts.versionNumber >= APPLICABILITY_SINCE;
  const rows = await control.query(
    full
      ? 'SELECT ID AS id, CHARACTER_SET_NAME AS charset, FULL_COLLATION_NAME AS collation FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY'
      : 'SELECT ID AS id, CHARACTER_SET_NAME AS charset, COLLATION_NAME AS collation FROM information_schema.COLLATIONS WHERE ID IS NOT NULL',
    'read the collations of the target',
  );
  const collations = new Map<number, CollationNames>();
  for (const { id, charset, collation } of rows) {
    if (!id || !charset || !collation || !NAME.test(charset) || !NAME.test(collation)) continue;
    collations.set(Number(id), { charset, collation });
  }
  return collations;
}

/** @throws UNSUPPORTED: a text cannot be read in a character set that is not there. `of` names what has it. */
export function collationNames(collations: Collations, id: number, of: string): CollationNames {
  const names = collations.get(id);
  if (names !== undefined) return names;
  throw new MillraceError('UNSUPPORTED', `${of} has collation ${id}, which the target does not know`, {
    hint: 'Use a target that knows the collations of the source.',
  });
}

/** `utf8` in the character set `charset`: the target's own conversion. */
export async function convertText(control: WireConnection, utf8: Buffer, charset: string): Promise<Buffer> {
  const rows = await control.query(
    `SELECT HEX(CONVERT(CONVERT(x'${utf8.toString('hex')}' USING utf8mb4) USING ${charset})) AS text`,
    `convert a name to ${charset}`,
  );
  return Buffer.from(rows[0]?.text ?? '', 'hex');
}
