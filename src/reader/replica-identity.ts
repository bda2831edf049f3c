/**
 * Which server_id we present. A configured one is taken as it is; else one is derived from our server_uuid, so that it is
 * the same after every restart, and looked up among the source's other replicas: two with one number throw each other out
 * (MariaDB), or at least make SHOW REPLICAS lie (MySQL). A replica that has gone stays in that list until the source next
 * writes to it; stepping aside for it does no harm, refusing a configured number because of it would.
 */
import { createHash } from 'node:crypto';
import { MillraceError } from '../base/errors.ts';
import type { Row, WireConnection } from '../wire/connection.ts';
import { peerName } from '../wire/wire-error.ts';
import { type SourceFacts, versionAtLeast } from './source-facts.ts';

/** Derived numbers lie in the upper half, where hand-made ones seldom are. */
const DERIVED_FIRST = 0x8000_0000;
const DERIVED_COUNT = 0x7fff_fffe;
const ATTEMPTS_MAX = 16;

export interface ReplicaIdentity {
  readonly serverId: number | null;
  readonly replicaUuid: string;
  /** What we register as; tells our own entry from another's where there are no uuids. */
  readonly reportHost: string;
}

export interface OtherReplica {
  readonly serverId: number;
  readonly uuid: string | null;
  readonly host: string | null;
}

/** @throws SOURCE_CONFIG when the source itself has the configured number. */
export async function chooseServerId(
  connection: WireConnection,
  facts: SourceFacts,
  identity: ReplicaIdentity,
): Promise<number> {
  if (identity.serverId !== null) {
    if (identity.serverId !== facts.serverId) return identity.serverId;
    const source = peerName(connection.peer);
    throw new MillraceError(
      'SOURCE_CONFIG',
      `the source ${source} itself has our server_id ${facts.serverId}`,
      {
        hint: 'Give source.server_id another number, or leave it out.',
      },
    );
  }
  const others = (await readReplicas(connection, facts)).filter((other) => !isOurs(other, identity));
  const taken = new Set([facts.serverId, ...others.map((other) => other.serverId)]);
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const derived = deriveServerId(identity.replicaUuid, attempt);
    if (!taken.has(derived)) return derived;
  }
  throw new MillraceError('DUPLICATE_IDENTITY', 'every derived server_id is taken', {
    hint: 'Set source.server_id.',
  });
}

/** Stable: the same uuid and attempt give the same number for ever. */
export function deriveServerId(replicaUuid: string, attempt: number): number {
  const hash = createHash('sha256')
    .update(`millrace server_id ${attempt} ${replicaUuid.toLowerCase()}`)
    .digest();
  return DERIVED_FIRST + (hash.readUInt32LE(0) % DERIVED_COUNT);
}

function isOurs(other: OtherReplica, identity: ReplicaIdentity): boolean {
  if (other.uuid !== null && other.uuid !== '') return other.uuid === identity.replicaUuid.toLowerCase();
  return other.host === identity.reportHost;
}

/** Empty when the account may not look, or the server does not know the statement: then nothing is known. */
export async function readReplicas(
  connection: WireConnection,
  facts: Pick<SourceFacts, 'flavour' | 'serverVersion'>,
): Promise<OtherReplica[]> {
  const newName = facts.flavour === 'mysql' && versionAtLeast(facts.serverVersion, 8, 0, 22);
  try {
    const rows = await connection.query(newName ? 'SHOW REPLICAS' : 'SHOW SLAVE HOSTS', 'list the replicas');
    return rows.map(otherReplica);
  } catch (error) {
    if (
      error instanceof MillraceError &&
      error.facts.errno !== undefined &&
      error.code !== 'CONNECTION_LOST'
    ) {
      return [];
    }
    throw error;
  }
}

function otherReplica(row: Row): OtherReplica {
  const column = (...names: string[]): string | null => {
    const found = Object.entries(row).find(([name]) => names.includes(name.toLowerCase()));
    return found?.[1] ?? null;
  };
  return {
    serverId: Number(column('server_id')),
    uuid: column('replica_uuid', 'slave_uuid')?.toLowerCase() ?? null,
    host: column('host'),
  };
}
