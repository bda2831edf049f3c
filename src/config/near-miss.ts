/**
 * The known word that somebody probably meant: what `did you mean …?` suggests for a mistyped key.
 */

/** The closest of `known`, when it is close enough to be a slip of the keyboard; else null. */
export function nearMiss(word: string, known: readonly string[]): string | null {
  const plain = snakeCase(word);
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    // Three letters that begin a word say more than a near miss elsewhere.
    const begun = plain.length >= 3 && candidate.startsWith(plain);
    const distance = begun ? 0 : editDistance(plain, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return bestDistance <= Math.max(1, Math.floor(plain.length / 3)) ? best : null;
}

/** serverId and server-id are spellings of server_id. */
function snakeCase(word: string): string {
  return word
    .slice(0, 64)
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toLowerCase();
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replace = last[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
      let cost = Math.min(replace, last[column]! + 1, current[column - 1]! + 1);
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        cost = Math.min(cost, beforeLast[column - 2]! + 1);
      }
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length]!;
}
