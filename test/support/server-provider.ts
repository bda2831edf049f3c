/**
 * Where real servers come from: one interface, three providers, asked in this order.
 *
 *   docker      a container through testcontainers, when a daemon answers
 *   installed   the programs named by MYSQLD / MARIADBD, or found on PATH
 *   debian      Debian's packages, unpacked into the cache folder without root and without installing anything
 *
 * MILLRACE_SERVERS=docker|installed|debian allows only that one. When none can deliver, the tests fail with every
 * provider's reason: a test that needs a server is never skipped.
 */
import type { TestServer } from './test-server.ts';

export type Flavour = 'mysql' | 'mariadb';

export interface ServerWish {
  readonly flavour: Flavour;
  /** Leading numbers that must match: '9.7', '10.11'. Undefined: what the provider has. */
  readonly version?: string | undefined;
}

export interface StartOptions {
  readonly args: readonly string[];
  /** Kept after the server stops; filled when empty. Undefined: a temporary one. */
  readonly datadir?: string | undefined;
  readonly name: string;
  /** Added to the environment of the process; not for a server in a container. */
  readonly env?: NodeJS.ProcessEnv | undefined;
}

/** Something that can start servers of one flavour and version. */
export interface ServerBuild {
  readonly provider: string;
  readonly version: string;
  start(options: StartOptions): Promise<TestServer>;
}

export interface ServerProvider {
  readonly name: string;
  /** The text says why not, and what would help. */
  prepare(wish: ServerWish): Promise<ServerBuild | { readonly unavailable: string }>;
}

export function versionMatches(version: string, wanted: string | undefined): boolean {
  return wanted === undefined || version === wanted || version.startsWith(`${wanted}.`);
}

/** The first provider that can deliver. */
export async function findServerBuild(
  providers: readonly ServerProvider[],
  wish: ServerWish,
): Promise<ServerBuild> {
  const only = process.env.MILLRACE_SERVERS;
  const asked = only === undefined ? providers : providers.filter((provider) => provider.name === only);
  const reasons: string[] = [];
  for (const provider of asked) {
    const answer = await provider.prepare(wish).catch((error: unknown) => ({ unavailable: String(error) }));
    if (!('unavailable' in answer)) return answer;
    reasons.push(`  ${provider.name}: ${answer.unavailable}`);
  }
  const what = `${wish.flavour}${wish.version === undefined ? '' : ` ${wish.version}`}`;
  const limit = only === undefined ? '' : ` (MILLRACE_SERVERS=${only} allows only that provider)`;
  throw new Error(`No ${what} server can be started${limit}:\n${reasons.join('\n')}`);
}
