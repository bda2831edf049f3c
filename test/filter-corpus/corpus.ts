/**
 * The filter corpus as it lies in test/fixtures/filters: cases in YAML, each with the options of a replica (in the
 * configuration's own words) and what a session of the source does.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { TargetRules } from '../../src/rules/target-rules.ts';
import { NO_FILTERS } from '../../src/rules/target-rules.ts';
import { repositoryRoot } from '../support/repository.ts';

/** What a native replica can be told as well. */
export interface CaseOptions {
  readonly replicate_do_db?: readonly string[];
  readonly replicate_ignore_db?: readonly string[];
  readonly replicate_do_table?: readonly string[];
  readonly replicate_ignore_table?: readonly string[];
  readonly replicate_wild_do_table?: readonly string[];
  readonly replicate_wild_ignore_table?: readonly string[];
  readonly replicate_rewrite_db?: readonly string[];
}

export interface CorpusCase {
  readonly name: string;
  /** File it stands in, without its ending. */
  readonly group: string;
  readonly options: CaseOptions;
  readonly format: 'ROW' | 'STATEMENT' | 'MIXED';
  /** Of the source's client: a name that mysql2 knows. */
  readonly charset: string;
  /** Of the replicas; the source has 0. */
  readonly lowerCaseTableNames: 0 | 1;
  /** Runs on all three servers, unlogged, after the common tables were made. */
  readonly given: readonly string[];
  /** On the source alone, unlogged: what the replicas have under names in small letters. */
  readonly givenOnSource: readonly string[];
  /** On the replicas alone, unlogged: what an earlier filter left there, or made it leave out. */
  readonly givenOnReplicas: readonly string[];
  /** One session of the source. */
  readonly run: readonly string[];
  /** In another session after the first has ended. */
  readonly afterwards: readonly string[];
  /** `both`: the native replica stops, and Millrace must; `native`: Millrace goes on, and the case says why. */
  readonly stops: 'no' | 'both' | 'native';
  readonly why: string | null;
}

interface RawCase {
  case: string;
  options?: CaseOptions;
  format?: CorpusCase['format'];
  charset?: string;
  lower_case_table_names?: 0 | 1;
  given?: string[];
  given_on_source?: string[];
  given_on_replicas?: string[];
  run: string[];
  afterwards?: string[];
  stops?: boolean | 'native';
  why?: string;
}

const KEYS = new Set([
  'case',
  'options',
  'format',
  'charset',
  'lower_case_table_names',
  'given',
  'given_on_source',
  'given_on_replicas',
  'run',
  'afterwards',
  'stops',
  'why',
]);
const OPTIONS = new Set([
  'replicate_do_db',
  'replicate_ignore_db',
  'replicate_do_table',
  'replicate_ignore_table',
  'replicate_wild_do_table',
  'replicate_wild_ignore_table',
  'replicate_rewrite_db',
]);

/** Every case of a flavour, in the order of the files. Throws when one is not well formed. */
export function readCorpus(flavour: 'mysql' | 'mariadb'): CorpusCase[] {
  const folder = join(repositoryRoot, 'test', 'fixtures', 'filters', flavour);
  const cases: CorpusCase[] = [];
  const names = new Set<string>();
  for (const file of readdirSync(folder).sort()) {
    for (const raw of parse(readFileSync(join(folder, file), 'utf8')) as RawCase[]) {
      const unknown = [
        ...Object.keys(raw).filter((key) => !KEYS.has(key)),
        ...Object.keys(raw.options ?? {}).filter((key) => !OPTIONS.has(key)),
      ];
      if (unknown.length > 0) throw new Error(`${file}: '${raw.case}' has the unknown key ${unknown}`);
      if (names.has(raw.case)) throw new Error(`${file}: '${raw.case}' stands there twice`);
      names.add(raw.case);
      if ((raw.stops === 'native') !== (raw.why !== undefined)) {
        throw new Error(`${file}: '${raw.case}' must say why Millrace goes on where a replica stops`);
      }
      cases.push({
        name: raw.case,
        group: file.replace(/\.yaml$/, ''),
        options: raw.options ?? {},
        format: raw.format ?? 'ROW',
        charset: raw.charset ?? 'utf8mb4',
        lowerCaseTableNames: raw.lower_case_table_names ?? 0,
        given: raw.given ?? [],
        givenOnSource: raw.given_on_source ?? [],
        givenOnReplicas: raw.given_on_replicas ?? [],
        run: raw.run,
        afterwards: raw.afterwards ?? [],
        stops: raw.stops === 'native' ? 'native' : raw.stops ? 'both' : 'no',
        why: raw.why ?? null,
      });
    }
  }
  return cases;
}

/** The same options as Millrace takes them. */
export function rulesOf(options: CaseOptions): TargetRules {
  return {
    filters: {
      ...NO_FILTERS,
      doDb: options.replicate_do_db ?? [],
      ignoreDb: options.replicate_ignore_db ?? [],
      doTable: options.replicate_do_table ?? [],
      ignoreTable: options.replicate_ignore_table ?? [],
      wildDoTable: options.replicate_wild_do_table ?? [],
      wildIgnoreTable: options.replicate_wild_ignore_table ?? [],
    },
    rewriteDb: (options.replicate_rewrite_db ?? []).map((rule) => {
      const [from = '', to = ''] = rule.split('->').map((part) => part.trim());
      return { from, to };
    }),
    ddlFilter: 'server',
    onUnparsedDdl: 'auto',
    replicateSystem: true,
    skipEvents: [],
  };
}
