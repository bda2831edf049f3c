/**
 * What all targets of a channel have: the intersection of their position sets, from text to text.
 */
import { type PositionKind, parsePositionSet } from '../binlog/position-set.ts';

/** `texts` is not empty. Throws MALFORMED_POSITION for a text that is no set of this kind. */
export function intersectPositions(kind: PositionKind, texts: readonly string[]): string {
  return texts
    .map((text) => parsePositionSet(kind, text))
    .reduce((common, set) => common.intersect(set))
    .toString();
}
