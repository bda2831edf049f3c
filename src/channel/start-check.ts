/**
 * The look at servers and relay log before a channel starts: who of its parts must not run, and why.
 *
 *   source refused, relay log empty     the channel stops before anything is touched
 *   source refused, relay log not       the reader will say so itself; what was received is still applied
 *   target refused                      that target stops; the others go on
 *
 * Trouble that passes (a server that is not there, a read-only target, another Millrace that is about to end) refuses nothing:
 * the reader and the applier retry. Thread: main.
 */
import { type PlainError, toPlain } from '../base/errors.ts';
import type { Clock, Logger } from '../base/runtime.ts';
import type { ChannelConfig } from '../config/config.ts';
import { targetSubject } from '../preflight/channel-facts.ts';
import { asPlainError, type Finding, forbidsStart, placeText } from '../preflight/finding.ts';
import { checkChannel } from '../preflight/preflight.ts';
import { relayFiles } from '../relay/relay-log-location.ts';
import type { Refusals } from './channel-state.ts';
import { endpointOptions } from './endpoint-options.ts';
import { channelUuid } from './identity.ts';

export interface StartCheckOptions {
  readonly config: ChannelConfig;
  /** The server_uuid of data_dir. */
  readonly identity: string;
  readonly clock: Clock;
}

/** Null: nothing is refused, since there was no looking. Never rejects: what the look cannot do, the threads will say. */
export async function lookBeforeStart(
  { config, identity, clock }: StartCheckOptions,
  relayDir: string,
  log: Logger,
  signal: AbortSignal,
): Promise<Refusals | null> {
  try {
    const findings = await checkChannel({
      config,
      source: endpointOptions(config.source.endpoint),
      targets: config.targets.map(({ endpoint }) => endpointOptions(endpoint)),
      relayDir,
      replicaUuid: channelUuid(identity, config.name),
      runningPid: null,
      depth: 'start',
      wallMs: clock.wallMs,
      signal,
    });
    if (signal.aborted) return null;
    logFindings(findings, log);
    const names = config.targets.map(({ name }) => name);
    return refusalsOf(findings, names, relayFiles(relayDir).length === 0);
  } catch (error) {
    log.warn('could not look at the servers before the start', { cause: toPlain(error).message });
    return null;
  }
}

/** `targets`: their names, in the order of the configuration. */
export function refusalsOf(
  findings: readonly Finding[],
  targets: readonly string[],
  relayLogIsEmpty: boolean,
): Refusals {
  const refusal = (subject: string): PlainError | null => {
    const found = findings.find((finding) => finding.subject === subject && forbidsStart(finding));
    return found === undefined ? null : asPlainError(found);
  };
  return {
    source: relayLogIsEmpty ? refusal('source') : null,
    targets: targets.map((name) => refusal(targetSubject(name))),
    relayLogIsEmpty,
  };
}

export function logFindings(findings: readonly Finding[], log: Logger): void {
  for (const finding of findings) {
    const { level, id, subject, message, remedy, advice } = finding;
    if (level === 'ok') continue;
    const facts = {
      check: id,
      subject,
      ...(finding.code === null ? {} : { code: finding.code }),
      cause: message,
      ...(remedy === null ? {} : { remedy: remedy.text, where: placeText(remedy) }),
      ...(advice === null ? {} : { advice }),
    };
    log[level === 'error' && forbidsStart(finding) ? 'error' : 'warn']('found before the start', facts);
  }
}
