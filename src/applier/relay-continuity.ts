/**
 * Watches that the relay log has no gap between two of its files.
 *
 * Each file says what lies before it (its Previous set). Everything of that must have been executed by the target, or
 * have passed by on the way through the files before; else something is missing in between that this target needs, and
 * reading on would leave it out in silence. Such gaps are lawful as long as the target has what is in them: a native
 * replica had taken over for a while, or a power cut took the unsynced end of a log whose transactions were applied. They
 * matter when the target goes back, or another one comes that never had them.
 */
import { MillraceError } from '../base/errors.ts';
import { FilePositionSet, type PositionSet, type TransactionId } from '../binlog/position-set.ts';
import type { RelayFileHeader } from '../relay/relay-file-header.ts';
import { relayFileName } from '../relay/relay-log-index.ts';

/** Nothing of a source's file lies before this. */
const FIRST_POSITION = 4;

export class RelayContinuity {
  readonly #seen: PositionSet;
  #fileNumber = 0;

  /** `executed`: what the target had before the first file was entered. */
  constructor(executed: PositionSet) {
    this.#seen = executed.clone();
  }

  /** A whole transaction was read, executed before or not. */
  passed(id: TransactionId): void {
    this.#seen.add(id);
  }

  /** @throws TARGET_WENT_BACK when something between the last file and this one is missing. */
  enter(fileNumber: number, header: RelayFileHeader): void {
    if (fileNumber === this.#fileNumber) return;
    this.#fileNumber = fileNumber;
    const { previous } = header;
    if (this.#seen.containsAll(previous)) return;
    // By positions, a new file of the source begins after the old one without a number that would tell it.
    if (previous instanceof FilePositionSet && previous.position <= FIRST_POSITION) return;
    throw new MillraceError(
      'TARGET_WENT_BACK',
      'the relay log has a gap before a file, and the target lacks what is missing there',
      {
        hint: 'It is fetched again from the source, from where the target stands.',
        facts: { file: relayFileName(fileNumber) },
      },
    );
  }
}

/** Of the oldest relay file; see `enter`. */
export function beginsTooLate(executed: PositionSet): MillraceError {
  return new MillraceError('TARGET_WENT_BACK', 'the relay log does not reach back to what the target lacks', {
    hint: 'It is fetched again from the source, from where the target stands.',
    facts: { executed: executed.toString().slice(0, 200) },
  });
}
