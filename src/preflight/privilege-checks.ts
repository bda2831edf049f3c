/**
 * Whether the account may do what applying takes: what was tried (target-survey.ts), and what SHOW GRANTS says of the schemas.
 */

import { GtidSet } from '../binlog/gtid-set.ts';
import { quoteIdentifier } from '../target/session-context.ts';
import type { TargetFactsOf } from './channel-facts.ts';
import type { Findings, Remedy } from './finding.ts';
import {
  binlogFormatPrivilege,
  readOnlyBypassPrivilege,
  rowEventsPrivilege,
  sessionSettingsPrivilege,
} from './privilege-names.ts';
import { isDenied, proofOf } from './probe-session.ts';
import { grantRemedy, grantStatement, setRemedy, sqlRemedy, unloggedRemedy } from './remedy.ts';
import { isOn } from './server-survey.ts';
import type { SourceSurvey } from './source-survey.ts';
import type { TargetSurvey } from './target-survey.ts';

/** Row events need these on MySQL, table by table (tried on 9.7.4); MariaDB's BINLOG REPLAY asks for none. */
const ROW_PRIVILEGES = ['INSERT', 'UPDATE', 'DELETE'];
/** And statements these. */
const STATEMENT_PRIVILEGES = [
  'SELECT',
  ...ROW_PRIVILEGES,
  'CREATE',
  'DROP',
  'ALTER',
  'INDEX',
  'REFERENCES',
  'LOCK TABLES',
  'CREATE VIEW',
  'SHOW VIEW',
  'TRIGGER',
  'EVENT',
  'CREATE ROUTINE',
  'ALTER ROUTINE',
  'EXECUTE',
];
const MARIADB_PRIVILEGES = [...STATEMENT_PRIVILEGES, 'DELETE HISTORY'];
/** So many GRANTs are printed; the rest is counted. */
const SCHEMAS_SHOWN_MAX = 20;

export function checkPrivileges(found: Findings, facts: TargetFactsOf): void {
  checkReadOnly(found, facts.target);
  checkRowEvents(found, facts.target);
  checkGtidNext(found, facts);
  checkProgressTable(found, facts);
  checkSessionSettings(found, facts.target);
  checkSchemas(found, facts);
}

function checkReadOnly(found: Findings, target: TargetSurvey): void {
  const { variables, writable, grants } = target;
  const bypass = readOnlyBypassPrivilege(target);
  const mayBypass = grants?.hasGlobal(bypass) === true || grants?.hasGlobal('SUPER') === true;
  const setting = readOnlySetting(variables);
  const forAll = READ_ONLY_FOR_ALL.get(setting);
  if (forAll !== undefined) {
    // read_only stays as it is: applications are kept out, the account is let in.
    const remedy = mayBypass ? sqlRemedy(target, [forAll]) : withGrant(target, [forAll], bypass);
    found.error('read_only', 'TARGET_READ_ONLY', `the target is read-only (${setting})`, {
      remedy,
      advice: 'Or point Millrace at the writable node; it goes on by itself.',
    });
    return;
  }
  if (setting === 'read_only=OFF') {
    found.ok('read_only', 'OFF');
  } else if (writable.ok) {
    found.ok('read_only', `${setting}, and the account may write all the same`);
  } else {
    found.error(
      'read_only',
      'TARGET_READ_ONLY',
      `the target is read-only (${setting}), also for the account`,
      {
        remedy: grantRemedy(target, [bypass]),
        advice:
          'Or SET GLOBAL read_only = OFF, or point Millrace at the writable node; it goes on by itself.',
      },
    );
  }
}

/** What keeps everybody out, whatever an account may, and how it is taken back. */
const READ_ONLY_FOR_ALL: ReadonlyMap<string, string> = new Map([
  ['super_read_only=ON', 'SET GLOBAL super_read_only = OFF'],
  ['read_only=NO_LOCK_NO_ADMIN', 'SET GLOBAL read_only = ON'],
]);

/** MariaDB's read_only has more values than two: whatever is not OFF keeps somebody out. */
function readOnlySetting(variables: ReadonlyMap<string, string>): string {
  if (isOn(variables.get('super_read_only'))) return 'super_read_only=ON';
  const value = variables.get('read_only')?.toUpperCase() ?? 'OFF';
  return `read_only=${{ '0': 'OFF', '1': 'ON' }[value] ?? value}`;
}

function withGrant(target: TargetSurvey, statements: readonly string[], privilege: string): Remedy {
  const grant = grantRemedy(target, [privilege]);
  return { ...grant, text: `${sqlRemedy(target, statements).text}\n${grant.text}` };
}

function checkRowEvents(found: Findings, target: TargetSurvey): void {
  const { rowEvents } = target;
  if (rowEvents.ok) {
    found.ok('row_events', 'may send row events (BINLOG)');
    return;
  }
  if (!isDenied(rowEvents)) {
    found.warning('row_events', `BINLOG could not be tried: ${rowEvents.message}`);
    return;
  }
  found.error('row_events', 'PRIVILEGE_MISSING', rowEvents.message, {
    remedy: grantRemedy(target, [rowEventsPrivilege(target)]),
  });
}

function checkGtidNext(found: Findings, { target, source, way }: TargetFactsOf): void {
  const { gtidNext, gtidTag } = target;
  if (way !== 'gtid' || gtidNext === null) return;
  if (isDenied(gtidNext)) {
    const message = gtidNext.ok ? '' : gtidNext.message;
    found.error('gtid_next', 'PRIVILEGE_MISSING', message, {
      remedy: grantRemedy(target, [target.versionNumber >= 80018 ? 'REPLICATION_APPLIER' : 'SUPER']),
    });
    return;
  }
  if (!gtidNext.ok) {
    found.warning('gtid_next', `GTID_NEXT could not be tried: ${gtidNext.message}`);
    return;
  }
  found.ok('gtid_next', 'may name transactions (GTID_NEXT)');
  const tagged = source === null ? null : taggedGtids(source, target);
  if (tagged === null) return;
  if (gtidTag === null) {
    found.warning(
      'gtid_tags',
      `the source has tagged GTIDs (${tagged}), which the target's version does not know`,
    );
  } else if (isDenied(gtidTag)) {
    found.error(
      'gtid_tags',
      'PRIVILEGE_MISSING',
      `the account may not set tagged GTIDs, which the source has (${tagged})`,
      {
        remedy: grantRemedy(target, ['TRANSACTION_GTID_TAG']),
      },
    );
  } else {
    found.ok('gtid_tags', 'may set tagged GTIDs');
  }
}

/** One that the target has not executed; null: none. */
function taggedGtids(source: SourceSurvey, target: TargetSurvey): string | null {
  for (const { sid, first } of GtidSet.parse(source.executed)
    .subtract(GtidSet.parse(target.executed))
    .intervals()) {
    if (sid.includes(':')) return `${sid}:${first}`;
  }
  return null;
}

function checkProgressTable(found: Findings, { target, way }: TargetFactsOf): void {
  if (way !== 'table') return;
  const { write, tablesExist } = target.progress;
  const proof = proofOf(write);
  if (proof === 'granted') {
    found.ok(
      'progress_table',
      tablesExist ? 'may write millrace.progress' : 'may make schema millrace and its tables',
    );
  } else if (proof === 'denied') {
    const message = write.ok ? '' : write.message;
    found.error(
      'progress_table',
      'PRIVILEGE_MISSING',
      `the account may not keep progress in schema millrace: ${message}`,
      {
        remedy: grantRemedy(target, ['ALL'], '`millrace`'),
      },
    );
  } else {
    found.skipped(
      'progress_table',
      `writing millrace.progress could not be tried: ${write.ok ? '' : write.message}`,
    );
  }
}

function checkSessionSettings(found: Findings, target: TargetSurvey): void {
  const denied = [...target.sessionSettings].filter(([, attempt]) => isDenied(attempt)).map(([name]) => name);
  const privilege = sessionSettingsPrivilege(target);
  // Every apply session sets these two at its beginning, where the server's default is in the way.
  for (const [name, value] of [
    ['binlog_format', "'ROW'"],
    ['sql_generate_invisible_primary_key', 'OFF'],
  ] as const) {
    if (!denied.includes(name)) continue;
    const now = target.variables.get(name);
    found.error(
      'session_settings',
      'PRIVILEGE_MISSING',
      `the account may not set ${name}, which is ${now} on the target`,
      {
        remedy: setRemedy(target, [name, value]),
        advice: `Or GRANT ${binlogFormatPrivilege(target)} to the account.`,
      },
    );
    return;
  }
  if (denied.length === 0) {
    found.ok('session_settings', 'may take over the settings of the source’s sessions');
  } else {
    found.warning(
      'session_settings',
      `the account may not set ${denied.join(', ')}: a statement of the source that needs it stops replication`,
      { remedy: grantRemedy(target, [privilege]) },
    );
  }
}

function checkSchemas(found: Findings, facts: TargetFactsOf): void {
  const { target } = facts;
  const { grants, flavour } = target;
  if (grants === null) {
    found.skipped('schema_privileges', 'SHOW GRANTS was refused');
    return;
  }
  const wanted = flavour === 'mysql' ? STATEMENT_PRIVILEGES : MARIADB_PRIVILEGES;
  const nowhere = ROW_PRIVILEGES.filter((privilege) => !grants.hasAnywhere(privilege, 'millrace'));
  if (flavour === 'mysql' && nowhere.length > 0) {
    found.error(
      'schema_privileges',
      'PRIVILEGE_MISSING',
      `the account has no ${nowhere.join(', ')} on any schema: no row can be applied`,
      {
        remedy: grantRemedy(target, wanted),
        advice: 'Or on the schemas that are replicated only.',
      },
    );
    return;
  }
  const schemas = replicatedSchemas(facts);
  const lacking = schemas
    .map((schema) => ({ schema, missing: grants.missingOnSchema(schema, wanted) }))
    .filter(({ missing }) => missing.length > 0);
  if (lacking.length === 0) {
    const everywhere = wanted.every((privilege) => grants.hasGlobal(privilege));
    const what = everywhere
      ? 'everything on every schema'
      : `everything on the schemas that are there, ${schemas.length}`;
    found.ok('schema_privileges', `may do ${what}`);
    return;
  }
  const names = lacking.map(({ schema, missing }) => `${schema} (${missing.join(', ')})`);
  found.warning(
    'schema_privileges',
    `lacks privileges on ${names.slice(0, 5).join('; ')}${names.length > 5 ? ` and ${names.length - 5} more schemas` : ''}: a change there that needs one stops replication`,
    {
      remedy: unloggedRemedy(
        target,
        lacking
          .slice(0, SCHEMAS_SHOWN_MAX)
          .map(({ schema, missing }) => grantStatement(target, missing, schemaPattern(schema))),
      ),
    },
  );
}

/** As far as anybody can see them: the source's, with their names on the target; else the target's. */
function replicatedSchemas({ source, target, config }: TargetFactsOf): readonly string[] {
  const theirs = source?.schemas?.schemas ?? [];
  if (theirs.length === 0) return target.schemas?.schemas ?? [];
  const renamed = new Map(config.rules.rewriteDb.map(({ from, to }) => [from, to]));
  return theirs.map((schema) => renamed.get(schema) ?? schema);
}

/** `_` and `%` would be patterns in a GRANT. */
function schemaPattern(schema: string): string {
  return quoteIdentifier(schema.replace(/[_%\\]/g, '\\$&'));
}
