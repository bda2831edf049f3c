/**
 * What stands in the schemas that are replicated, and what becomes of it on the target.
 */
import { quoteIdentifier } from '../target/session-context.ts';
import type { TargetFactsOf } from './channel-facts.ts';
import type { Findings } from './finding.ts';
import { definerPrivileges } from './privilege-names.ts';
import { grantRemedy, lastingAdvice, setRemedy, sqlRemedy } from './remedy.ts';
import type { SchemaSurvey, TableName } from './schema-survey.ts';
import { isOn } from './server-survey.ts';
import type { SourceSurvey } from './source-survey.ts';

/** Names in a message; statements in a remedy. */
const SHOWN_MAX = 5;
const STATEMENTS_MAX = 20;

export function checkSourceTables(found: Findings, source: SourceSurvey): void {
  const { schemas } = source;
  if (schemas === null) return;
  if (schemas.schemas.length === 0) {
    found.skipped(
      'tables',
      'the account sees no tables (it needs to see none); those of the target are looked at',
    );
    return;
  }
  const { withoutTransactions, withoutKey } = schemas;
  if (withoutTransactions === null) found.skipped('tables_without_transactions', TOO_LONG);
  else if (withoutTransactions.length === 0) found.ok('tables_without_transactions', 'none');
  else {
    const engines = [...new Set(withoutTransactions.map(({ engine }) => engine))].join(', ');
    found.warning(
      'tables_without_transactions',
      `${listed(withoutTransactions)}: ${engines} cannot commit together with progress; a crash in the middle may repeat rows`,
      {
        remedy: sqlRemedy(
          source,
          withoutTransactions
            .slice(0, STATEMENTS_MAX)
            .map((table) => `ALTER TABLE ${quoted(table)} ENGINE = InnoDB`),
        ),
        advice: more(withoutTransactions),
      },
    );
  }
  checkKeys(found, withoutKey);
}

const TOO_LONG = 'not looked at: the server took too long to list them';

function checkKeys(found: Findings, tables: readonly TableName[] | null): void {
  if (tables === null) {
    found.skipped('tables_without_key', TOO_LONG);
    return;
  }
  if (tables.length === 0) {
    found.ok('tables_without_key', 'none');
    return;
  }
  found.warning(
    'tables_without_key',
    `${listed(tables)}: every changed row is looked for by reading the whole table on the target`,
    {
      advice:
        'Give each a primary key out of columns that name a row: ALTER TABLE … ADD PRIMARY KEY (…) on the source. Not a new AUTO_INCREMENT column, which numbers the rows differently on the target.',
    },
  );
}

export function checkTargetSchemas(found: Findings, facts: TargetFactsOf): void {
  const { schemas } = facts.target;
  if (schemas === null) return;
  checkTargetTables(found, facts, schemas);
  checkEvents(found, facts, schemas);
  checkTriggers(found, facts, schemas);
  checkDefiners(found, facts, schemas);
  checkFunctions(found, facts, schemas);
}

/** Those that the source does not show, or has in another engine. */
function checkTargetTables(found: Findings, { source }: TargetFactsOf, schemas: SchemaSurvey): void {
  const told = new Set(
    (source?.schemas?.withoutTransactions ?? []).map(({ schema, table }) => `${schema}.${table}`),
  );
  const only = (schemas.withoutTransactions ?? []).filter(
    ({ schema, table }) => !told.has(`${schema}.${table}`),
  );
  if (only.length > 0) {
    const remedy =
      source === null
        ? null
        : sqlRemedy(
            source,
            only.slice(0, STATEMENTS_MAX).map((table) => `ALTER TABLE ${quoted(table)} ENGINE = InnoDB`),
          );
    found.warning(
      'tables_without_transactions',
      `${listed(only)}: rows that are committed at once, without progress; a crash in the middle may repeat them`,
      { remedy, advice: more(only) ?? 'Run it on the source: it is replicated.' },
    );
  } else if (schemas.withoutTransactions === null) {
    found.skipped('tables_without_transactions', TOO_LONG);
  } else {
    found.ok('tables_without_transactions', 'none');
  }
  if ((source?.schemas?.schemas.length ?? 0) === 0) checkKeys(found, schemas.withoutKey);
}

function checkEvents(found: Findings, { target }: TargetFactsOf, schemas: SchemaSurvey): void {
  const { enabledEvents } = schemas;
  const scheduler = target.variables.get('event_scheduler')?.toUpperCase() ?? 'OFF';
  if (enabledEvents === null) {
    found.skipped('events', TOO_LONG);
    return;
  }
  if (enabledEvents.length === 0) {
    found.ok('events', 'none that would run');
    return;
  }
  if (scheduler !== 'ON') {
    found.ok('events', `${enabledEvents.length}, and event_scheduler=${scheduler}`);
    return;
  }
  found.warning(
    'events',
    `${listed(enabledEvents)} would run on the target as well as on the source, and both write`,
    {
      remedy: setRemedy(target, ['event_scheduler', 'OFF']),
      advice: lastingAdvice(target) ?? 'Turn it on again when the target becomes the source.',
    },
  );
}

/**
 * MySQL never fires a trigger for a row event. MariaDB asks slave_run_triggers_for_rbr, for BINLOG as for its own replica: with YES and
 * LOGGING the triggers of a table fire that had none on the source, with ENFORCE all. It is global, so no session of ours can say no.
 */
function checkTriggers(
  found: Findings,
  { target, source, config }: TargetFactsOf,
  schemas: SchemaSurvey,
): void {
  const { triggers } = schemas;
  const fires = (target.variables.get('slave_run_triggers_for_rbr') ?? 'NO').toUpperCase();
  if (fires === 'NO') {
    if (triggers === null) found.skipped('triggers', TOO_LONG);
    else found.ok('triggers', triggers.length === 0 ? 'none' : `${triggers.length}; row events fire none`);
    return;
  }
  const setting = `slave_run_triggers_for_rbr=${fires}`;
  const mending = {
    remedy: setRemedy(target, ['slave_run_triggers_for_rbr', "'NO'"]),
    advice: lastingAdvice(target),
  };
  const renamed = new Map(config.rules.rewriteDb.map(({ from, to }) => [from, to]));
  const theirs = new Set(
    (source?.schemas?.triggers ?? []).map(({ schema, table }) => `${renamed.get(schema) ?? schema}.${table}`),
  );
  const fired = (triggers ?? []).filter(
    ({ schema, table }) => fires === 'ENFORCE' || !theirs.has(`${schema}.${table}`),
  );
  if (fired.length > 0) {
    found.error(
      'triggers',
      'TARGET_CONFIG',
      `${setting} on the target: row events fire ${listed(fired)}, and what these write the source has not written`,
      mending,
    );
  } else {
    found.warning(
      'triggers',
      `${setting} on the target: row events fire the triggers of tables that have none on the source`,
      mending,
    );
  }
}

function checkDefiners(found: Findings, { target }: TargetFactsOf, schemas: SchemaSurvey): void {
  const { grants, flavour, account } = target;
  if (grants === null || schemas.definers === null) return;
  const own = `${account.user}@${account.host}`;
  const others = schemas.definers.filter((definer) => definer !== own);
  const wanted = definerPrivileges(target);
  const missing = grants.hasGlobal('SUPER') ? [] : wanted.filter((privilege) => !grants.hasGlobal(privilege));
  if (others.length === 0) {
    found.ok('definers', 'no views, triggers, routines or events of others');
    return;
  }
  if (missing.length === 0) {
    found.ok('definers', 'may make things in the name of others');
    return;
  }
  found.warning(
    'definers',
    `views, triggers, routines or events belong to ${others.slice(0, SHOWN_MAX).join(', ')}: when the source makes such a thing again, replication stops`,
    {
      remedy: grantRemedy(target, missing),
      advice:
        flavour === 'mysql'
          ? 'And SYSTEM_USER, where such a definer is a system user (root usually is).'
          : null,
    },
  );
}

function checkFunctions(found: Findings, { target, source }: TargetFactsOf, schemas: SchemaSurvey): void {
  const { variables } = target;
  if (!isOn(variables.get('log_bin')) || isOn(variables.get('log_bin_trust_function_creators'))) {
    found.ok('function_creators', 'functions and triggers of the source can be made');
    return;
  }
  const needed =
    isOn(source?.variables.get('log_bin_trust_function_creators')) ||
    (schemas.functions ?? []).length > 0 ||
    ((schemas.triggers ?? []).length > 0 && !target.grants?.hasGlobal('SUPER'));
  if (!needed) {
    found.ok('function_creators', 'no functions or triggers');
    return;
  }
  found.warning(
    'function_creators',
    'log_bin_trust_function_creators=OFF on the target: the next function or trigger that the source makes stops replication',
    {
      remedy: setRemedy(target, ['log_bin_trust_function_creators', 'ON']),
      advice: lastingAdvice(target),
    },
  );
}

function quoted({ schema, table }: TableName): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`;
}

function listed(tables: readonly TableName[]): string {
  const names = tables.slice(0, SHOWN_MAX).map(({ schema, table }) => `${schema}.${table}`);
  const rest = tables.length - names.length;
  return rest === 0 ? names.join(', ') : `${names.join(', ')} and ${rest} more`;
}

function more(tables: readonly TableName[]): string | null {
  return tables.length > STATEMENTS_MAX ? `And ${tables.length - STATEMENTS_MAX} more.` : null;
}
