/**
 * Health as load balancers and orchestrators ask for it: one line, and yes or no. Pure.
 *
 *   ready    every channel runs
 *   lag      a target is known to hold everything that its source had `max` ago: what a load balancer may send reads to.
 *            Not known is no.
 */
import type { Status, TargetStatus } from './status.ts';

export interface Verdict {
  readonly well: boolean;
  readonly line: string;
}

export function readiness(status: Status): Verdict {
  const bad = status.channels.filter(({ state }) => state !== 'running');
  if (bad.length === 0) return { well: true, line: 'ready' };
  const line = bad
    .map(({ name, state, reason }) => `${name} ${state}${reason === null ? '' : `: ${reason}`}`)
    .join('; ');
  return { well: false, line };
}

export interface LagQuestion {
  /** Null: the only one. */
  readonly channel: string | null;
  readonly target: string | null;
  readonly maxSeconds: number;
}

/** Null: there is no such channel or target; the line says which there are. */
export function lagVerdict(
  status: Status,
  question: LagQuestion,
): { readonly verdict: Verdict | null; readonly line: string } {
  const channel = pick(status.channels, question.channel);
  if (channel === null)
    return { verdict: null, line: unknownLine('channel', question.channel, status.channels) };
  const target = pick(channel.targets, question.target);
  if (target === null)
    return { verdict: null, line: unknownLine('target', question.target, channel.targets) };
  const verdict = freshness(target, question.maxSeconds);
  return { verdict, line: verdict.line };
}

function freshness(target: TargetStatus, maxSeconds: number): Verdict {
  const behind = target.lag.at_most_seconds;
  if (target.state !== 'running') {
    return {
      well: false,
      line: `stale: ${target.state}${target.reason === null ? '' : `, ${target.reason}`}`,
    };
  }
  if (behind === null) return { well: false, line: 'stale: nothing is known of the lag' };
  const measured = `behind at most ${behind.toFixed(1)} s, ${maxSeconds} s allowed`;
  return behind <= maxSeconds
    ? { well: true, line: `fresh: ${measured}` }
    : { well: false, line: `stale: ${measured}` };
}

function pick<T extends { readonly name: string }>(all: readonly T[], name: string | null): T | null {
  if (name === null) return all.length === 1 ? all[0]! : null;
  return all.find((one) => one.name === name) ?? null;
}

function unknownLine(what: string, name: string | null, all: readonly { readonly name: string }[]): string {
  const names = all.map((one) => one.name).join(', ');
  return name === null
    ? `which ${what}? there are ${names}`
    : `no ${what} ${JSON.stringify(name.slice(0, 64))}; there are ${names}`;
}
