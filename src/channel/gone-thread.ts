/**
 * What status says of a thread that goes, or is gone: it is down until an operator acts, or waits for its next start.
 */
import type { ApplierState } from '../applier/applier-messages.ts';
import type { PlainError } from '../base/errors.ts';
import type { Clock } from '../base/runtime.ts';
import type { ReaderState } from '../reader/reader-messages.ts';
import type { ThreadSlot } from './channel-state.ts';

export type GoneState = Extract<ReaderState & ApplierState, { at: 'stopped' | 'backing-off' }>;

const INTERNAL_FAULT: PlainError = {
  code: 'INTERNAL',
  action: 'stop',
  message: 'the thread ended by itself',
  hint: null,
  facts: {},
};

/**
 * What status says of a thread that says `said` of itself. That it has stopped it says before it is gone, and only then can it be started again: who
 * waits for `stopped` to do so would come too early.
 */
export function stateOf<S extends ReaderState | ApplierState>(last: S, said: S): S {
  return said.at === 'stopped' ? last : said;
}

/** `last`: what the thread said last. Null: it is not gone. */
export function goneState(
  slot: ThreadSlot,
  last: ReaderState | ApplierState,
  clock: Clock,
): GoneState | null {
  if (slot.stopCause !== null) return { at: 'stopped', cause: slot.stopCause };
  if (slot.restartAtMs === null) return null;
  const untilMs = clock.wallMs() + slot.restartAtMs - clock.monotonicMs();
  const cause = last.at === 'stopped' || last.at === 'backing-off' ? last.cause : null;
  return { at: 'backing-off', attempt: slot.failures.length, untilMs, cause: cause ?? INTERNAL_FAULT };
}
