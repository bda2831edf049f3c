/**
 * What a target is and can do, asked once per connect, and the refusals that follow from it: each names the setting and
 * the remedy before anything is applied.
 */
import { MillraceError } from '../base/errors.ts';
import type { PositionKind } from '../binlog/position-set.ts';
import type { WireConnection } from '../wire/connection.ts';

export type Flavour = 'mysql' | 'mariadb';

export interface TargetFacts {
  readonly flavour: Flavour;
  readonly version: string;
  /** 90704 for 9.7.4, 101118 for 10.11.18. */
  readonly versionNumber: number;
  readonly serverUuid: string | null;
  readonly serverId: string;
  readonly gtidMode: string;
  readonly maxAllowedPacket: number;
  readonly binlogFormat: string;
  /** 0: names of databases and tables are compared byte by byte. */
  readonly lowerCaseTableNames: number;
  /** sql_generate_invisible_primary_key is ON: a table without a key would gain a column that the source's rows lack. */
  readonly invisiblePrimaryKeys: boolean;
  /** Session variables that need a privilege to set, as they are: they are only set when an event wants another value. */
  readonly restricted: ReadonlyMap<string, string>;
}

export function versionNumber(version: string): number {
  const [, major, minor, patch] = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(version) ?? [];
  return Number(major ?? 0) * 10000 + Number(minor ?? 0) * 100 + Number(patch ?? 0);
}

/** Variables that a target may not have (older versions, the other flavour) are asked for one by one. */
async function variable(connection: WireConnection, expression: string): Promise<string | null> {
  try {
    const rows = await connection.query(`SELECT ${expression} AS v`);
    return rows[0]?.v ?? null;
  } catch (error) {
    if (error instanceof MillraceError && error.facts.errno === 1193) return null;
    throw error;
  }
}

export async function readTargetFacts(connection: WireConnection): Promise<TargetFacts> {
  const { flavour } = connection;
  const version = connection.serverVersion;
  const restricted = new Map<string, string>();
  if (flavour === 'mysql') {
    for (const name of ['sql_require_primary_key', 'default_table_encryption', 'enable_cascade_triggers']) {
      const value = await variable(connection, `@@session.${name}`);
      if (value !== null) restricted.set(name, value);
    }
  }
  const facts: TargetFacts = {
    flavour,
    version,
    versionNumber: versionNumber(version),
    serverUuid: flavour === 'mysql' ? await variable(connection, '@@global.server_uuid') : null,
    serverId: (await variable(connection, '@@global.server_id')) ?? '0',
    gtidMode: (flavour === 'mysql' ? await variable(connection, '@@global.gtid_mode') : null) ?? 'OFF',
    maxAllowedPacket: Number(await variable(connection, '@@global.max_allowed_packet')),
    binlogFormat: (await variable(connection, '@@session.binlog_format')) ?? 'ROW',
    lowerCaseTableNames: Number((await variable(connection, '@@global.lower_case_table_names')) ?? '0'),
    invisiblePrimaryKeys:
      flavour === 'mysql' &&
      (await variable(connection, '@@session.sql_generate_invisible_primary_key')) === '1',
    restricted,
  };
  if ((await variable(connection, '@@global.super_read_only')) === '1') {
    throw new MillraceError('TARGET_READ_ONLY', 'the target is read-only (super_read_only=ON)', {
      hint: 'SET GLOBAL super_read_only=OFF, read_only=OFF on the target, or point Millrace at the writable node; it goes on by itself.',
    });
  }
  return facts;
}

/** Which way progress is kept. @throws TARGET_CONFIG when the one asked for cannot be had. */
export function chooseProgress(
  wanted: 'auto' | 'gtid' | 'table',
  kind: PositionKind,
  facts: Pick<TargetFacts, 'flavour' | 'gtidMode'>,
): 'gtid' | 'table' {
  if (wanted === 'table') return 'table';
  const obstacle = gtidObstacle(kind, facts);
  if (obstacle === null) return 'gtid';
  if (wanted === 'auto') return 'table';
  throw new MillraceError('TARGET_CONFIG', `progress: gtid cannot be kept on this target: ${obstacle.why}`, {
    hint: obstacle.remedy,
  });
}

function gtidObstacle(
  kind: PositionKind,
  facts: Pick<TargetFacts, 'flavour' | 'gtidMode'>,
): { why: string; remedy: string } | null {
  if (facts.flavour !== 'mysql') {
    return { why: 'it is a MariaDB server', remedy: 'Use progress: table (or auto) for a MariaDB target.' };
  }
  if (kind !== 'gtid') {
    return {
      why: 'the source does not name its transactions by MySQL GTIDs',
      remedy: 'Set gtid_mode=ON on the source, or use progress: table (or auto).',
    };
  }
  if (facts.gtidMode !== 'ON') {
    return {
      why: `its gtid_mode is ${facts.gtidMode}`,
      remedy:
        'Set gtid_mode=ON and enforce_gtid_consistency=ON on the target, or use progress: table (or auto).',
    };
  }
  return null;
}

/** Row events go to a target of the source's own flavour only; other pairs need mode sql. */
export function requireSameFlavour(
  kind: PositionKind,
  sourceFlavour: Flavour | null,
  facts: Pick<TargetFacts, 'flavour'>,
): void {
  const source = sourceFlavour ?? (kind === 'mariadb' ? 'mariadb' : 'mysql');
  if (source === facts.flavour) return;
  throw new MillraceError(
    'NOT_IN_THIS_VERSION',
    `the source is ${source === 'mysql' ? 'MySQL' : 'MariaDB'} and the target is ${facts.flavour === 'mysql' ? 'MySQL' : 'MariaDB'}: mode sql is not in this version`,
    { hint: 'Use a target of the same flavour as the source.' },
  );
}
