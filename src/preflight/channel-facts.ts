/**
 * What the checks of a channel look at: its configuration and what its servers, its relay log and this machine have told. Pure
 * data; the checks make findings of it.
 */
import type { PositionKind } from '../binlog/position-set.ts';
import type { ChannelConfig, TargetConfig } from '../config/config.ts';
import { readingKind } from '../reader/source-facts.ts';
import { chooseProgress } from '../target/target-facts.ts';
import type { EndpointOptions } from '../wire/endpoint.ts';
import type { RelaySurvey } from './relay-survey.ts';
import type { ServerSurvey, Surveyed } from './server-survey.ts';
import type { SourceSurvey } from './source-survey.ts';
import type { TargetSurvey } from './target-survey.ts';

export interface SurveyedTarget {
  readonly config: TargetConfig;
  readonly endpoint: EndpointOptions;
  readonly survey: Surveyed<TargetSurvey>;
}

export interface ChannelFacts {
  readonly config: ChannelConfig;
  readonly sourceEndpoint: EndpointOptions;
  readonly source: Surveyed<SourceSurvey>;
  readonly targets: readonly SurveyedTarget[];
  readonly relay: RelaySurvey;
  /** What we present to the source; null: data_dir has no identity yet. */
  readonly replicaUuid: string | null;
  /** The Millrace that runs on this data_dir, if this is not it. */
  readonly runningPid: number | null;
  /** More than what a start asks. */
  readonly thorough: boolean;
  readonly nowMs: number;
}

/** A target that answered, and the source, if that did. */
export interface TargetFactsOf {
  readonly channel: ChannelFacts;
  readonly config: TargetConfig;
  readonly target: TargetSurvey;
  readonly source: SourceSurvey | null;
  /** How the source names its transactions; null: not known. */
  readonly kind: PositionKind | null;
  /** How progress is kept; null: not known, or it cannot be. */
  readonly way: 'gtid' | 'table' | null;
}

export function targetFactsOf(channel: ChannelFacts, surveyed: SurveyedTarget): TargetFactsOf | null {
  if (!surveyed.survey.ok) return null;
  const target = surveyed.survey.is;
  const kind = positionKind(channel);
  return {
    channel,
    config: surveyed.config,
    target,
    source: channel.source.ok ? channel.source.is : null,
    kind,
    way: kind === null ? null : progressWay(surveyed.config, kind, target),
  };
}

/** Of the source, or, while it cannot be asked, of the relay log. */
export function positionKind({ source, relay }: ChannelFacts): PositionKind | null {
  const relayKind = relay.retrieved?.kind ?? null;
  if (!source.ok) return relayKind;
  try {
    return readingKind(source.is.facts, relayKind);
  } catch {
    return source.is.facts.kind;
  }
}

function progressWay(
  config: TargetConfig,
  kind: PositionKind,
  target: ServerSurvey,
): 'gtid' | 'table' | null {
  try {
    return chooseProgress(config.progress, kind, gtidFacts(target));
  } catch {
    return null;
  }
}

export function gtidFacts(server: ServerSurvey): { flavour: ServerSurvey['flavour']; gtidMode: string } {
  return { flavour: server.flavour, gtidMode: server.variables.get('gtid_mode') ?? 'OFF' };
}

export function sourcePath(config: ChannelConfig): string {
  return `channels[${config.name}].source`;
}

export function targetPath(config: ChannelConfig, target: TargetConfig): string {
  return `channels[${config.name}].targets[${target.name}]`;
}

export function targetSubject(name: string): string {
  return `target ${name}`;
}
