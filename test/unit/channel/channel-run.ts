/**
 * A channel machine under test: it takes inputs, and gives back what it wants done.
 */
import { ERROR_CODES, type ErrorCode, type PlainError } from '../../../src/base/errors.ts';
import { stepChannel } from '../../../src/channel/channel-machine.ts';
import {
  type ChannelEffect,
  type ChannelInput,
  type ChannelMachine,
  newChannelMachine,
  type ThreadId,
} from '../../../src/channel/channel-state.ts';

export const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

export function error(code: ErrorCode): PlainError {
  return { code, action: ERROR_CODES[code], message: `because of ${code}`, hint: null, facts: {} };
}

/** A machine with a clock: takes inputs, gives back what it wants done, log entries left out. */
export class Run {
  machine: ChannelMachine;
  nowMs = 1_000;

  constructor(targets: number) {
    this.machine = newChannelMachine(targets);
  }

  in(input: ChannelInput, afterMs = 0): ChannelEffect[] {
    this.nowMs += afterMs;
    const [next, effects] = stepChannel(this.machine, input, this.nowMs);
    this.machine = next;
    return effects.filter((effect) => effect.do !== 'log');
  }

  tick(afterMs: number): ChannelEffect[] {
    return this.in({ type: 'tick' }, afterMs);
  }

  executed(target: number, executed: string): ChannelEffect[] {
    return this.in({ type: 'executed', target, executed });
  }

  ended(thread: ThreadId, cause: PlainError | null = null, died = false): ChannelEffect[] {
    return this.in({ type: 'ended', thread, cause, died });
  }

  source(relayLogIsEmpty: boolean): ChannelEffect[] {
    return this.in({ type: 'source', kind: 'gtid', relayLogIsEmpty });
  }

  get at(): string {
    return this.machine.state.at;
  }
}

export function reaching(targets: number): Run {
  const run = new Run(targets);
  run.in({ type: 'start', refused: null });
  return run;
}

export function running(targets = 1): Run {
  const run = reaching(targets);
  run.source(true);
  for (let target = 0; target < targets; target++) run.executed(target, `${UUID}:1-10`);
  run.in({ type: 'reader-streaming' });
  return run;
}
