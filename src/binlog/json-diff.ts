/**
 * The partial form of a JSON value in a PARTIAL_UPDATE_ROWS_EVENT: differences to the document in the before image, in
 * the order in which they are to be made.
 *
 * Up to the end: operation (1), lenenc length of the path, path; except for REMOVE: lenenc length, binary JSON.
 * No bytes at all: the document stays as it is.
 * Facts: MySQL's Json_diff_vector; the paths are JSON path expressions as JSON_REPLACE takes them.
 */
import { ByteDecoder, malformed } from './byte-decoder.ts';
import { jsonText } from './json-value.ts';

const WHAT = 'JSON difference';

/** replace: an existing value; insert: a new member or array element; remove: the value at the path. */
export type JsonOperation = 'replace' | 'insert' | 'remove';

const OPERATIONS: readonly JsonOperation[] = ['replace', 'insert', 'remove'];

export interface JsonDiff {
  readonly operation: JsonOperation;
  readonly path: string;
  /** The new value as JSON text; null for `remove`. */
  readonly value: string | null;
}

/** Throws MALFORMED_EVENT. */
export function decodeJsonDiffs(buf: Buffer, start: number, end: number): JsonDiff[] {
  const body = new ByteDecoder(buf, start, end, WHAT);
  const diffs: JsonDiff[] = [];
  while (body.remaining > 0) {
    const code = body.u8();
    const operation = OPERATIONS[code];
    if (operation === undefined) throw malformed(WHAT, `operation ${code}`);
    const path = body.utf8(body.lenencInt());
    let value: string | null = null;
    if (operation !== 'remove') {
      const length = body.lenencInt();
      const valueStart = body.pos;
      body.skip(length);
      value = jsonText(buf, valueStart, valueStart + length);
    }
    diffs.push({ operation, path, value });
  }
  return diffs;
}
