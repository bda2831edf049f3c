/**
 * How far the relay log is behind the source and the disk behind the relay log: what a status of the reader says of it, put
 * together from the writer, the running dump and the looks at the source's head. Thread: reader.
 */
import type { RelayLogWriter } from '../relay/relay-log-writer.ts';
import type { DumpStream } from './dump-stream.ts';
import { committedLater, NO_AGES, type Received, type SourcePlace } from './head-samples.ts';
import type { ReaderStatus } from './reader-messages.ts';
import type { SourceHead } from './source-head.ts';

export interface FreshnessParts {
  readonly writer: RelayLogWriter | null;
  readonly stream: DumpStream | null;
  /** Null: the source is not to be asked. */
  readonly head: SourceHead | null;
  readonly nowMs: number;
  /** The latest that the source's clock can say; null: not known. */
  readonly sourceNowMs: number | null;
}

type Freshness = Pick<
  ReaderStatus,
  'head' | 'headUnknown' | 'proofAgeMs' | 'missingAgeMs' | 'unsynced' | 'caughtUpWithSource'
>;

export function readerFreshness({ writer, stream, head, nowMs, sourceNowMs }: FreshnessParts): Freshness {
  const received = receivedSoFar(writer, stream);
  if (stream?.provenMs != null) head?.proven(stream.provenMs);
  const { position, durable } = writer ?? {};
  const sameFile = position !== undefined && position.fileNumber === durable?.fileNumber;
  return {
    // A dump beneath which the logs were reset goes on to say so.
    caughtUpWithSource: (stream?.caughtUp ?? false) && !(head?.doubted ?? false),
    head: head?.view(received.place) ?? null,
    headUnknown: head === null ? 'not asked' : head.unknown,
    ...committedLater(head?.ages(received) ?? NO_AGES, stream?.lastCommitMicros ?? null, sourceNowMs),
    unsynced: {
      transactions: stream?.unsynced.transactions ?? 0,
      // A file is durable as a whole before the next one begins.
      bytes: sameFile ? position.offset - durable!.offset : 0,
      ageMs: stream?.unsynced.ageMs(nowMs) ?? null,
    },
  };
}

export function receivedSoFar(writer: RelayLogWriter | null, stream: DumpStream | null): Received {
  return { place: receivedPlace(writer, stream), set: writer?.retrieved ?? null };
}

/** The end of the last whole transaction, in the source's files; the dump's own word reaches over what it leaves out. */
function receivedPlace(writer: RelayLogWriter | null, stream: DumpStream | null): SourcePlace | null {
  if (stream?.sourceFile != null && !stream.inTransaction) {
    return { file: stream.sourceFile, position: stream.sourcePosition };
  }
  return writer?.sourceFile == null ? null : { file: writer.sourceFile, position: writer.sourcePosition };
}
