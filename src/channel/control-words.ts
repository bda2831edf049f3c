/**
 * Words for what operators want and what a target is doing, the same in answers, status and log.
 */
import type { ApplierStatus } from '../applier/applier-messages.ts';
import type { Until } from '../applier/target-control.ts';
import { formatDuration } from '../config/units.ts';

/** `before uuid:7`, `after uuid:7`, `before the first commit at 2026-02-03T04:05:06.000Z or later` */
export function untilText(until: Until): string {
  if (until.is !== 'time') return `${until.is} ${until.id}`;
  return `before the first commit at ${new Date(until.ms).toISOString()} or later`;
}

export function durationText(ms: number): string {
  return formatDuration(ms);
}

/** What a target that was told to go on does, where that is not what one expects; begins with a comma. */
export function stateText(status: ApplierStatus | null): string {
  if (status?.gate.is === 'held')
    return `, and is held by guard ${status.gate.match.guard}: ${status.gate.match.what}`;
  return '';
}
