/**
 * Settings in which source and target differ, or that get in the way of what is applied.
 */
import type { TargetFactsOf } from './channel-facts.ts';
import type { Findings } from './finding.ts';
import { lastingAdvice, optionFileRemedy, setRemedy, shellRemedy, stringLiteral } from './remedy.ts';
import { isOn, type ServerSurvey } from './server-survey.ts';

/** Modes that 8.0 took away: a source that still has them does not differ for it. */
const MODES_GONE = new Set(['NO_AUTO_CREATE_USER', 'NO_FIELD_OPTIONS', 'NO_KEY_OPTIONS', 'NO_TABLE_OPTIONS']);
const MEBIBYTE = 1 << 20;
const PACKET_MAX = 1 << 30;
/** A row travels as base64 inside a statement. */
const BASE64_NUMERATOR = 4 / 3;
const STATEMENT_OVERHEAD = 64 * 1024;

export function checkSettings(found: Findings, { target, source }: TargetFactsOf): void {
  checkPrimaryKeys(found, target, source);
  checkPacket(found, target, source);
  if (source === null) return;
  checkSqlMode(found, target, source);
  checkCharset(found, target, source);
  checkNameCase(found, target, source);
  checkZones(found, target, source);
}

function checkPrimaryKeys(found: Findings, target: ServerSurvey, source: ServerSurvey | null): void {
  if (!target.variables.has('sql_require_primary_key')) return;
  if (isOn(target.variables.get('sql_generate_invisible_primary_key'))) {
    found.warning(
      'invisible_primary_keys',
      'sql_generate_invisible_primary_key=ON: apply sessions turn it off; tables made by others on the target would gain a column',
      {
        remedy: setRemedy(target, ['sql_generate_invisible_primary_key', 'OFF']),
        advice: lastingAdvice(target),
      },
    );
  }
  const required = isOn(target.variables.get('sql_require_primary_key'));
  if (required && source !== null && !isOn(source.variables.get('sql_require_primary_key'))) {
    found.warning(
      'sql_require_primary_key',
      'sql_require_primary_key=ON here and OFF on the source: it is turned off for every table without a key that the source makes',
      { remedy: setRemedy(target, ['sql_require_primary_key', 'OFF']), advice: lastingAdvice(target) },
    );
  } else {
    found.ok('sql_require_primary_key', required ? 'ON on both sides' : 'OFF');
  }
}

function checkPacket(found: Findings, target: ServerSurvey, source: ServerSurvey | null): void {
  const own = Number(target.variables.get('max_allowed_packet') ?? 0);
  const theirs = Number(source?.variables.get('max_allowed_packet') ?? own);
  const row = Math.floor((own - STATEMENT_OVERHEAD) / BASE64_NUMERATOR / MEBIBYTE);
  if (own >= theirs) {
    found.ok('max_allowed_packet', `rows of up to ${row} MiB`);
    return;
  }
  const wanted = Math.min(
    PACKET_MAX,
    Math.ceil((theirs * BASE64_NUMERATOR + STATEMENT_OVERHEAD) / MEBIBYTE) * MEBIBYTE,
  );
  found.warning(
    'max_allowed_packet',
    `${own} bytes, and ${theirs} on the source: a row of more than ${row} MiB stops replication`,
    { remedy: setRemedy(target, ['max_allowed_packet', String(wanted)]), advice: lastingAdvice(target) },
  );
}

function checkSqlMode(found: Findings, target: ServerSurvey, source: ServerSurvey): void {
  const modes = (server: ServerSurvey): string[] =>
    (server.variables.get('sql_mode') ?? '')
      .split(',')
      .filter((mode) => mode !== '' && !MODES_GONE.has(mode))
      .sort();
  const [own, theirs] = [modes(target).join(','), modes(source).join(',')];
  if (own === theirs) {
    found.ok('sql_mode', 'as on the source');
    return;
  }
  found.warning(
    'sql_mode',
    'differs from the source: replication carries the source’s along, applications would notice after a switch-over',
    { remedy: setRemedy(target, ['sql_mode', stringLiteral(theirs)]), advice: lastingAdvice(target) },
  );
}

function checkCharset(found: Findings, target: ServerSurvey, source: ServerSurvey): void {
  const names = ['character_set_server', 'collation_server'] as const;
  const differing = names.filter((name) => target.variables.get(name) !== source.variables.get(name));
  if (differing.length === 0) {
    found.ok('charset', target.variables.get('collation_server') ?? 'as on the source');
    return;
  }
  const theirs = source.variables.get('collation_server') ?? '';
  found.warning(
    'charset',
    `collation_server is ${target.variables.get('collation_server')}, and ${theirs} on the source: replication carries the source’s along, what is made here by others differs`,
    {
      remedy: setRemedy(
        target,
        ...names.map((name) => [name, stringLiteral(source.variables.get(name) ?? '')] as const),
      ),
      advice: lastingAdvice(target),
    },
  );
}

function checkNameCase(found: Findings, target: ServerSurvey, source: ServerSurvey): void {
  const own = target.variables.get('lower_case_table_names');
  const theirs = source.variables.get('lower_case_table_names');
  if (own === theirs) {
    found.ok('lower_case_table_names', `${own}, as on the source`);
    return;
  }
  const message = `${own}, and ${theirs} on the source: ${
    theirs === '0'
      ? 'tables whose names differ in case only become one'
      : 'a name with capitals in a statement is another table than its rows’'
  }`;
  if (target.flavour === 'mysql' && target.versionNumber >= 80000) {
    found.warning('lower_case_table_names', message, {
      advice:
        'It can only be set when a data directory is made: make the target anew with the source’s value.',
    });
  } else {
    found.warning('lower_case_table_names', message, {
      remedy: optionFileRemedy(target, [`lower_case_table_names = ${theirs}`]),
      advice: 'Before there are tables.',
    });
  }
}

function checkZones(found: Findings, target: ServerSurvey, source: ServerSurvey): void {
  const zone = source.variables.get('time_zone') ?? 'SYSTEM';
  const named = zone !== 'SYSTEM' && !/^[+-]/.test(zone);
  if (target.knowsZones) {
    found.ok('time_zones', 'named time zones are loaded');
    return;
  }
  if (!source.knowsZones && !named) {
    found.ok('time_zones', 'no named time zones, as on the source');
    return;
  }
  const why = named
    ? `the source runs in time_zone ${zone}`
    : 'the source has them: a session there may use one';
  const { host, port } = target.peer;
  found.warning('time_zones', `named time zones are not loaded on the target, and ${why}`, {
    advice: 'A statement that carries one stops replication (1298). As an administrator of the target:',
    remedy: shellRemedy(
      'target',
      target.address,
      `(echo 'SET SESSION sql_log_bin = 0;'; ${target.flavour === 'mysql' ? 'mysql' : 'mariadb'}${
        target.flavour === 'mysql' ? '_tzinfo_to_sql' : '-tzinfo-to-sql'
      } /usr/share/zoneinfo) | ${target.flavour === 'mysql' ? 'mysql' : 'mariadb'} -h ${host} -P ${port} -u root -p mysql`,
    ),
  });
}
