/**
 * The applier's lifecycle: a pure function from state and input to state and effects.
 *
 *   idle ──start──▶ connecting ──connected──▶ running
 *                    ▲    │ failed               │ failed
 *                    │    ▼                      ▼
 *                    └─ backing-off ◀──retry── (the error's action) ──stop──▶ stopped
 *                                                                  └─resync─▶ stopped, with the error: the channel starts anew
 *   stop from anywhere ──▶ stopping ──ended──▶ stopped
 *
 * Time is an input. An error's action decides: `retry` backs off, forever, with the attempt counted; everything else stops.
 */
import { assertNever, type PlainError } from '../base/errors.ts';
import { backoffMs } from '../base/runtime.ts';
import type { ApplierState } from './applier-messages.ts';

export type ApplierInput =
  | { readonly is: 'start' }
  | { readonly is: 'connected'; readonly nowMs: number }
  | { readonly is: 'failed'; readonly error: PlainError; readonly nowMs: number; readonly random: number }
  | { readonly is: 'due' }
  | { readonly is: 'stop' }
  /** The run that was told to stop has ended. */
  | { readonly is: 'ended' };

export type ApplierEffect =
  | { readonly do: 'connect' }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'end-run' }
  | { readonly do: 'report-stopped'; readonly cause: PlainError | null };

export interface ApplierMachine {
  readonly state: ApplierState;
  /** Failed attempts since the last time something was applied or the connection stood. */
  readonly attempts: number;
  /** When the target was last taken over. */
  readonly connectedMs: number;
}

export const APPLIER_IDLE: ApplierMachine = { state: { at: 'idle' }, attempts: 0, connectedMs: 0 };

/** A life that lasted this long was a success: the next failure counts anew. */
const GOOD_LIFE_MS = 10_000;

type Step = readonly [ApplierMachine, readonly ApplierEffect[]];

export function stepApplier(machine: ApplierMachine, input: ApplierInput): Step {
  switch (input.is) {
    case 'start':
      return onStart(machine);
    case 'connected':
      if (machine.state.at !== 'connecting') return [machine, []];
      return [{ state: { at: 'running' }, attempts: machine.attempts, connectedMs: input.nowMs }, []];
    case 'failed':
      return onFailed(machine, input);
    case 'due':
      if (machine.state.at !== 'backing-off') return [machine, []];
      return [
        { ...machine, state: { at: 'connecting', attempt: machine.attempts + 1 } },
        [{ do: 'connect' }],
      ];
    case 'stop':
      return onStop(machine);
    case 'ended':
      if (machine.state.at !== 'stopping') return [machine, []];
      return [stopped(null), [{ do: 'report-stopped', cause: null }]];
    default:
      return assertNever(input);
  }
}

function onStart(machine: ApplierMachine): Step {
  const { at } = machine.state;
  if (at !== 'idle' && at !== 'stopped') return [machine, []];
  return [{ ...APPLIER_IDLE, state: { at: 'connecting', attempt: 1 } }, [{ do: 'connect' }]];
}

function onFailed(machine: ApplierMachine, input: Extract<ApplierInput, { is: 'failed' }>): Step {
  const { at } = machine.state;
  if (at === 'stopping') return [stopped(null), [{ do: 'report-stopped', cause: null }]];
  if (at !== 'connecting' && at !== 'running') return [machine, []];
  if (input.error.action !== 'retry') {
    return [stopped(input.error), [{ do: 'report-stopped', cause: input.error }]];
  }
  const lasted = at === 'running' && input.nowMs - machine.connectedMs >= GOOD_LIFE_MS;
  const attempts = lasted ? 1 : machine.attempts + 1;
  const ms = backoffMs(attempts, input.random, 250, 15_000);
  return [
    {
      ...machine,
      state: { at: 'backing-off', attempt: attempts, untilMs: input.nowMs + ms, cause: input.error },
      attempts,
    },
    [{ do: 'wait', ms }],
  ];
}

function onStop(machine: ApplierMachine): Step {
  switch (machine.state.at) {
    case 'connecting':
    case 'running':
      return [{ ...machine, state: { at: 'stopping' } }, [{ do: 'end-run' }]];
    case 'stopping':
      return [machine, []];
    case 'stopped':
      return [machine, [{ do: 'report-stopped', cause: machine.state.cause }]];
    case 'idle':
    case 'backing-off':
      return [stopped(null), [{ do: 'report-stopped', cause: null }]];
  }
}

function stopped(cause: PlainError | null): ApplierMachine {
  return { ...APPLIER_IDLE, state: { at: 'stopped', cause } };
}
