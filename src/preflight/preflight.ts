/**
 * Looks at everything that a channel needs before it runs: its source, its targets, its relay log, this machine.
 *
 *   surveys (I/O, side by side, bounded)  →  facts (data)  →  checks (pure)  →  findings
 *
 * Nothing that is found wrong is an error of the look: it always ends with findings. In `start` only what is quick is asked, and
 * how long it may take is bounded by seconds; `check` also reads the schemas and the pace of the binary logs.
 *
 * What a target has executed is compared with what the source has. Both move; a target that seems to be ahead is held against
 * the source once more, asked after it.
 */
import { GtidSet } from '../binlog/gtid-set.ts';
import type { ChannelConfig } from '../config/config.ts';
import { gtidsOf } from '../reader/source-history.ts';
import type { EndpointOptions } from '../wire/endpoint.ts';
import {
  type ChannelFacts,
  type SurveyedTarget,
  sourcePath,
  targetFactsOf,
  targetPath,
  targetSubject,
} from './channel-facts.ts';
import { checkConnection, checkUnreachable } from './connection-checks.ts';
import { type Finding, Findings } from './finding.ts';
import { checkHistory, checkStartKind } from './history-checks.ts';
import { checkClock, checkDisk, checkRelayLog } from './host-checks.ts';
import { checkPrivileges } from './privilege-checks.ts';
import { inProbeSession, type ProbeLimits } from './probe-session.ts';
import { surveyRelayLog } from './relay-survey.ts';
import { concernsSchema } from './replicated-schemas.ts';
import { checkSourceTables, checkTargetSchemas } from './schema-checks.ts';
import { type Surveyed, surveyed } from './server-survey.ts';
import { checkSettings } from './setting-checks.ts';
import { checkSource } from './source-checks.ts';
import { type SourceSurvey, surveySource } from './source-survey.ts';
import { checkTarget } from './target-checks.ts';
import { surveyTarget } from './target-survey.ts';

export interface PreflightRequest {
  readonly config: ChannelConfig;
  readonly source: EndpointOptions;
  /** In the order of the configuration. */
  readonly targets: readonly EndpointOptions[];
  readonly relayDir: string;
  /** What we present to the source; null: not known yet. */
  readonly replicaUuid: string | null;
  /** A Millrace that runs on this data_dir; null: none, or it is this one. */
  readonly runningPid: number | null;
  readonly depth: 'start' | 'check';
  readonly wallMs: () => number;
  readonly signal?: AbortSignal;
}

const LIMITS: Readonly<Record<PreflightRequest['depth'], ProbeLimits>> = {
  start: { connectMs: 3_000, statementMs: 2_000, totalMs: 4_000, readMs: 1_000 },
  check: { connectMs: 10_000, statementMs: 10_000, totalMs: 60_000, readMs: 5_000 },
};

/** Never rejects for anything that is wrong with servers or files. */
export async function checkChannel(request: PreflightRequest): Promise<Finding[]> {
  const facts = await gather(request);
  const found = [
    ...sourceFindings(facts),
    ...facts.targets.flatMap((target) => targetFindings(facts, target)),
  ];
  return request.depth === 'start' ? found : [...found, ...hostFindings(facts)];
}

async function gather(request: PreflightRequest): Promise<ChannelFacts> {
  const { config, depth, wallMs, signal } = request;
  const limits = LIMITS[depth];
  const thorough = depth === 'check';
  const concerned = (schema: string): boolean =>
    config.targets.some(({ rules }) => concernsSchema(rules.filters, schema));
  const sourceLook = { endpoint: request.source, limits, thorough, concerned, wallMs, signal };
  const [source, ...targets] = await Promise.all([
    surveyed(surveySource(sourceLook)),
    ...config.targets.map(async (target, index): Promise<SurveyedTarget> => {
      const endpoint = request.targets[index]!;
      const look = { endpoint, channel: config.name, limits, thorough, wallMs, signal };
      const concernedHere = (schema: string): boolean =>
        concernsSchema(target.rules.filters, schema, target.rules.rewriteDb);
      return {
        config: target,
        endpoint,
        survey: await surveyed(surveyTarget({ ...look, concerned: concernedHere })),
      };
    }),
  ]);
  return {
    config,
    sourceEndpoint: request.source,
    source: await askedAgain(source, targets, request, limits),
    targets,
    relay: surveyRelayLog(request.relayDir),
    replicaUuid: request.replicaUuid,
    runningPid: request.runningPid,
    thorough,
    nowMs: wallMs(),
  };
}

async function askedAgain(
  source: Surveyed<SourceSurvey>,
  targets: readonly SurveyedTarget[],
  request: PreflightRequest,
  limits: ProbeLimits,
): Promise<Surveyed<SourceSurvey>> {
  if (!source.ok || source.is.flavour !== 'mysql') return source;
  const onSource = GtidSet.parse(source.is.executed);
  const ahead = targets.some(
    ({ survey }) =>
      survey.ok &&
      !gtidsOf(GtidSet.parse(survey.is.executed), source.is.serverUuid).subtract(onSource).isEmpty(),
  );
  if (!ahead) return source;
  const executed = await surveyed(
    inProbeSession(request.source, 'the source', limits, request.signal, (session) =>
      session.value('SELECT @@GLOBAL.gtid_executed'),
    ),
  );
  if (!executed.ok || executed.is === null) return source;
  return { ok: true, is: { ...source.is, executed: executed.is } };
}

function sourceFindings(facts: ChannelFacts): Finding[] {
  const found = new Findings('source');
  const { config, source, sourceEndpoint, nowMs } = facts;
  const path = sourcePath(config);
  if (!source.ok) {
    checkUnreachable(found, 'source', path, sourceEndpoint, source.error);
    return found.all;
  }
  checkConnection(found, path, sourceEndpoint, source.is, nowMs);
  checkSource(found, facts, source.is);
  checkStartKind(found, facts, source.is);
  checkSourceTables(found, source.is);
  checkClock(found, source.is);
  return found.all;
}

function targetFindings(facts: ChannelFacts, surveyedTarget: SurveyedTarget): Finding[] {
  const { config, endpoint, survey } = surveyedTarget;
  const found = new Findings(targetSubject(config.name));
  const path = targetPath(facts.config, config);
  if (!survey.ok) {
    checkUnreachable(found, 'target', path, endpoint, survey.error);
    return found.all;
  }
  checkConnection(found, path, endpoint, survey.is, facts.nowMs);
  const target = targetFactsOf(facts, surveyedTarget)!;
  if (checkTarget(found, target)) {
    checkHistory(found, target);
    checkPrivileges(found, target);
    checkSettings(found, target);
    checkTargetSchemas(found, target);
  }
  checkClock(found, survey.is);
  return found.all;
}

function hostFindings(facts: ChannelFacts): Finding[] {
  const found = new Findings('host');
  checkRelayLog(found, facts);
  checkDisk(found, facts);
  return found.all;
}
