/**
 * A set of server programs on this machine, installed or unpacked, and how they are run.
 */

import type { Flavour } from './server-provider.ts';
import type { Program } from './test-server.ts';

export interface Installation {
  readonly provider: string;
  readonly flavour: Flavour;
  readonly version: string;
  /** Folder in the cache for what is computed once per installation (the template data directory). */
  readonly cache: string;
  readonly server: Program;
  /** Where messages, character sets and plugins are: not needed where the server finds them by itself. */
  readonly serverArgs: readonly string[];
  readonly pluginDir: string | null;
  /** MariaDB's folder with the *_system_tables.sql files. */
  readonly bootstrapFolder: string | null;
  binary(program: string): Program;
}

/** MariaDB renamed its programs; tests ask by the names that both have had. */
export function programNames(flavour: Flavour, program: string): string[] {
  if (flavour === 'mysql') return [program];
  const renamed = program === 'mysql' ? 'mariadb' : program.replace(/^mysql/, 'mariadb-');
  return [renamed, program];
}

/** '9.7.4' out of "mysqld  Ver 9.7.4 for Linux …" or "mariadbd  Ver 10.11.18-MariaDB …". */
export function parseVersion(text: string): { version: string; flavour: Flavour } | null {
  const match = /Ver (\d+\.\d+\.\d+)(\S*)/.exec(text);
  if (match?.[1] === undefined) return null;
  return { version: match[1], flavour: /mariadb/i.test(match[2] ?? '') ? 'mariadb' : 'mysql' };
}
