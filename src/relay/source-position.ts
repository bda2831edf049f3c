/**
 * Where an event ends in the source's own file, counted in full although the header only tells it modulo 2^32.
 *
 * Three ways of counting meet here: MySQL and MariaDB up to 11.3 write the end position's low 32 bits into every event;
 * MariaDB 11.4 and later leave 0 in the events inside a transaction (they are written before their place is known); an
 * artificial event has no place at all and must not be fed. Positions in one file only grow, so the next value is the
 * smallest one above the last whose low bits fit. What this cannot see is a gap of 4 GiB or more in one file, which only a
 * source with GTIDs can leave (it skips what we have); there the position serves display and acknowledgement alone.
 */
const WRAP = 0x1_0000_0000;

/** `previous` and the result: end positions in the source's file; `logPos`: as in the header; `length`: of the event. */
export function nextSourcePosition(previous: number, logPos: number, length: number): number {
  if (logPos === 0) return previous + length;
  const candidate = previous - (previous % WRAP) + logPos;
  return candidate < previous ? candidate + WRAP : candidate;
}
