/**
 * Debian's server packages, unpacked into the cache folder: no root, nothing installed, nothing changed on the machine.
 *
 * The packages come with the libraries they need (debian-packages.ts). The programs run through the unpacked loader and C
 * library, so the machine's own release does not matter.
 *
 * <cache>/servers/debian-<flavour>-<suite>/root    the unpacked tree; appears by rename, so it is whole or absent
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fetchDebianPackages } from './debian-packages.ts';
import { withFileLock } from './file-lock.ts';
import { type Installation, parseVersion, programNames } from './installation.ts';
import { findOnPath, hasBootstrapFiles } from './installed-servers.ts';
import { LocalServer } from './local-server.ts';
import { mustRun } from './program.ts';
import { cacheFolder } from './repository.ts';
import { type Flavour, type ServerProvider, type ServerWish, versionMatches } from './server-provider.ts';
import type { Program } from './test-server.ts';

interface Source {
  readonly flavour: Flavour;
  readonly suite: string;
  /** What the suite had when this was written; a suite moves on, so the real version is asked from the program. */
  readonly expected: string;
  readonly packages: readonly string[];
}

/** The first one of a flavour is its default. */
const SOURCES: readonly Source[] = [
  { flavour: 'mysql', suite: 'sid', expected: '9.7', packages: ['mysql-server-core', 'mysql-client-core'] },
  {
    flavour: 'mariadb',
    suite: 'bookworm',
    expected: '10.11',
    packages: ['mariadb-server-core', 'mariadb-client-core', 'mariadb-client'],
  },
  {
    flavour: 'mariadb',
    suite: 'sid',
    expected: '11.8',
    packages: ['mariadb-server-core', 'mariadb-client-core', 'mariadb-client'],
  },
];

/** Of everything that apt names, only this is needed to run the programs: no Perl, no system tools. */
const NEEDED =
  /^(lib(?!perl|.*-perl$).*|zlib1g|gcc-\d+-base|mysql-common|mariadb-common|openssl-provider-legacy)$/;

export const debianServers: ServerProvider = {
  name: 'debian',
  async prepare(wish) {
    const missing = ['apt-get', 'dpkg-deb', 'dpkg'].filter((program) => findOnPath(program) === null);
    if (missing.length > 0) return { unavailable: `this machine has no ${missing.join(', ')}` };
    const source = pickSource(wish);
    if (source === null)
      return { unavailable: `no Debian suite is known for ${wish.flavour} ${wish.version ?? ''}` };

    const folder = cacheFolder('servers', `debian-${source.flavour}-${source.suite}`);
    const root = join(folder, 'root');
    if (!existsSync(root)) {
      await withFileLock(join(folder, 'lock'), async () => {
        if (existsSync(root)) return;
        await fetchDebianPackages({
          suite: source.suite,
          packages: source.packages,
          needed: (name) => NEEDED.test(name),
          folder,
          root,
          label: 'servers',
        });
      });
    }
    const build = await installation(source, folder, root);
    if (!versionMatches(build.version, wish.version)) {
      return { unavailable: `Debian ${source.suite} now has ${wish.flavour} ${build.version}` };
    }
    return {
      provider: 'debian',
      version: build.version,
      start: (options) => LocalServer.start(build, options),
    };
  },
};

function pickSource(wish: ServerWish): Source | null {
  return (
    SOURCES.find(
      (source) =>
        source.flavour === wish.flavour &&
        (wish.version === undefined ||
          versionMatches(wish.version, source.expected) ||
          versionMatches(source.expected, wish.version)),
    ) ?? null
  );
}

async function installation(source: Source, folder: string, root: string): Promise<Installation> {
  const libraries = libraryFolders(root);
  const loader = findLoader(libraries);
  const program = (name: string): Program => {
    for (const alias of programNames(source.flavour, name)) {
      for (const place of ['usr/sbin', 'usr/bin']) {
        const path = join(root, place, alias);
        if (existsSync(path)) return { command: loader, args: ['--library-path', libraries.join(':'), path] };
      }
    }
    throw new Error(`${name} is not in Debian's ${source.packages.join(', ')}`);
  };
  const server = program(source.flavour === 'mysql' ? 'mysqld' : 'mariadbd');
  const answer = await mustRun(server.command, [...server.args, '--no-defaults', '--version']);
  const version = parseVersion(answer)?.version;
  if (version === undefined) throw new Error(`cannot read a version from: ${answer}`);
  const share = ['usr/share/mariadb', 'usr/share/mysql'].map((place) => join(root, place));
  const messages = share.find((place) => existsSync(join(place, 'charsets')));
  if (messages === undefined) throw new Error(`no character sets below ${root}`);
  const pluginDir = join(root, 'usr/lib/mysql/plugin');
  return {
    provider: 'debian',
    flavour: source.flavour,
    version,
    cache: folder,
    server,
    serverArgs: [
      `--lc-messages-dir=${messages}`,
      `--character-sets-dir=${join(messages, 'charsets')}`,
      `--plugin-dir=${pluginDir}`,
    ],
    pluginDir,
    bootstrapFolder: share.find((place) => hasBootstrapFiles(place)) ?? null,
    binary: program,
  };
}

function libraryFolders(root: string): string[] {
  const folders: string[] = [];
  for (const place of ['usr/lib', 'lib']) {
    const parent = join(root, place);
    if (!existsSync(parent)) continue;
    for (const name of readdirSync(parent)) if (name.endsWith('-linux-gnu')) folders.push(join(parent, name));
  }
  return folders;
}

function findLoader(libraries: readonly string[]): string {
  for (const folder of libraries) {
    const name = readdirSync(folder).find((file) => /^ld-linux.*\.so\.\d+$/.test(file));
    if (name !== undefined) return join(folder, name);
  }
  throw new Error('the unpacked C library has no loader');
}
