/**
 * Server programs that are already there: named by MYSQLD or MARIADBD, or found on PATH.
 */
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { type Installation, parseVersion, programNames } from './installation.ts';
import { LocalServer } from './local-server.ts';
import { runProgram } from './program.ts';
import { cacheFolder } from './repository.ts';
import { type Flavour, type ServerProvider, versionMatches } from './server-provider.ts';

export const installedServers: ServerProvider = {
  name: 'installed',
  async prepare(wish) {
    const variable = wish.flavour === 'mysql' ? 'MYSQLD' : 'MARIADBD';
    const named = process.env[variable];
    const program = wish.flavour === 'mysql' ? 'mysqld' : 'mariadbd';
    const path =
      named ?? findOnPath(program) ?? findIn(['/usr/sbin', '/usr/libexec', '/usr/local/sbin'], program);
    if (path === null) {
      return {
        unavailable: `no ${program} on PATH; install one or set ${variable} to the path of the program`,
      };
    }
    const answer = await runProgram(path, ['--no-defaults', '--version']).catch((error: unknown) => ({
      code: 1,
      stdout: '',
      stderr: String(error),
    }));
    const found = parseVersion(answer.stdout);
    if (answer.code !== 0 || found === null) {
      return { unavailable: `${path} --version failed: ${answer.stderr.trim().slice(0, 300)}` };
    }
    if (found.flavour !== wish.flavour || !versionMatches(found.version, wish.version)) {
      return { unavailable: `${path} is ${found.flavour} ${found.version}` };
    }
    const build = installation(path, found.flavour, found.version);
    return {
      provider: 'installed',
      version: found.version,
      start: (options) => LocalServer.start(build, options),
    };
  },
};

function installation(path: string, flavour: Flavour, version: string): Installation {
  const real = realpathSync(path);
  const base = dirname(dirname(real));
  const key = createHash('sha256').update(`${real} ${version}`).digest('hex').slice(0, 12);
  const share = [join(base, 'share', 'mysql'), join(base, 'share', 'mariadb'), join(base, 'share')];
  const plugins = ['lib/mysql/plugin', 'lib64/mysql/plugin', 'lib/plugin', 'lib/mariadb/plugin'];
  return {
    provider: 'installed',
    flavour,
    version,
    cache: cacheFolder('servers', `installed-${flavour}-${version}-${key}`),
    server: { command: real, args: [] },
    serverArgs: [],
    pluginDir: plugins.map((name) => join(base, name)).find((folder) => existsSync(folder)) ?? null,
    bootstrapFolder: share.find((folder) => hasBootstrapFiles(folder)) ?? null,
    binary: (program) => {
      for (const name of programNames(flavour, program)) {
        const found = findIn([join(base, 'bin'), dirname(real)], name) ?? findOnPath(name);
        if (found !== null) return { command: found, args: [] };
      }
      throw new Error(`${program} is neither beside ${real} nor on PATH`);
    },
  };
}

export function hasBootstrapFiles(folder: string): boolean {
  return ['mariadb', 'mysql'].some((prefix) => existsSync(join(folder, `${prefix}_system_tables.sql`)));
}

export function findOnPath(program: string): string | null {
  return findIn((process.env.PATH ?? '').split(delimiter), program);
}

function findIn(folders: readonly string[], program: string): string | null {
  for (const folder of folders) {
    const path = join(folder, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  return null;
}
