/**
 * Text as SQL literals that mean the same whatever a session's character sets, quotes and escapes are: a statement of the
 * source may have left any behind. Without an introducer a literal is converted to collation_connection, and there are sources whose
 * statements are written in UTF-16.
 */
import { assert } from '../base/errors.ts';

/** Letters, digits and the signs of GTIDs, positions, time zones and collations. */
const PLAIN = /^[ !#-&(-[\]-~]*$/;

/** A byte string: binary. */
export function hexLiteral(text: string | Buffer): string {
  const hex = Buffer.from(text as string).toString('hex');
  return hex === '' ? "''" : `x'${hex}'`;
}

/** Text of ASCII without quotes and backslashes. */
export function asciiLiteral(text: string): string {
  assert(PLAIN.test(text), 'plain ASCII');
  return `_ascii'${text}'`;
}
