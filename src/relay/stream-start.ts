/**
 * What begins a stream: what the source says about the file that it sends, and with it the origin of the relay file that takes it in.
 * Pure.
 */
import type { PositionSet } from '../binlog/position-set.ts';
import { otherKind } from './refused-stream.ts';
import type { RelayFileOrigin } from './relay-file-header.ts';

export interface StreamStart {
  /** The FORMAT_DESCRIPTION_EVENT as the source sent it, whole. */
  readonly fde: Buffer;
  /** What the source was asked to leave out; its kind is the kind of the log. */
  readonly base: PositionSet;
  readonly sourceFile: string;
  /** Where in that file the stream begins. */
  readonly sourcePosition: number;
}

/** `retrieved`: what the log in `dir` holds; null: it is empty. Throws RELAY_CORRUPT when that is of another kind. */
export function streamOrigin(
  start: StreamStart,
  retrieved: PositionSet | null,
  dir: string,
): RelayFileOrigin {
  const { fde, base, sourceFile, sourcePosition } = start;
  const previous = (retrieved ?? base).clone();
  if (previous.kind !== base.kind) throw otherKind(dir, previous.kind, base.kind);
  previous.addAll(base);
  if (previous.kind === 'position')
    previous.add({ kind: 'position', file: sourceFile, position: sourcePosition });
  return { rawFormatDescription: Buffer.from(fde), previous, sourceFile, sourcePosition };
}
