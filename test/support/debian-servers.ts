/**
 * Debian's server packages, unpacked into the cache folder: no root, nothing installed, nothing changed on the machine.
 *
 * A private apt (own lists, own empty status, own cache) verifies the archive's signatures as usual, downloads the
 * packages with the libraries they need, and dpkg-deb unpacks them side by side. The programs run through the unpacked
 * loader and C library, so the machine's own release does not matter. The mirror is the machine's own one.
 *
 * <cache>/servers/debian-<flavour>-<suite>/root    the unpacked tree; appears by rename, so it is whole or absent
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withFileLock } from './file-lock.ts';
import { type Installation, parseVersion, programNames } from './installation.ts';
import { findOnPath, hasBootstrapFiles } from './installed-servers.ts';
import { LocalServer } from './local-server.ts';
import { mustRun, runProgram } from './program.ts';
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
        if (!existsSync(root)) await fetchPackages(source, folder, root);
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

async function fetchPackages(source: Source, folder: string, root: string): Promise<void> {
  const mirror = await machineMirror();
  const started = Date.now();
  const apt = join(folder, 'apt');
  for (const part of ['etc', 'state/lists/partial', 'cache/archives/partial']) {
    mkdirSync(join(apt, part), { recursive: true });
  }
  writeFileSync(join(apt, 'status'), '');
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const signedBy = existsSync(keyring) ? `[signed-by=${keyring}] ` : '';
  writeFileSync(join(apt, 'etc/sources.list'), `deb ${signedBy}${mirror} ${source.suite} main\n`);
  const configuration = join(apt, 'apt.conf');
  writeFileSync(
    configuration,
    [
      `Dir::Etc::sourcelist "${apt}/etc/sources.list";`,
      'Dir::Etc::sourceparts "-"; Dir::Etc::preferences "-"; Dir::Etc::preferencesparts "-";',
      `Dir::State "${apt}/state"; Dir::State::status "${apt}/status"; Dir::Cache "${apt}/cache";`,
      'APT::Install-Recommends "false"; APT::Sandbox::User "root"; Acquire::Languages "none";',
      'Acquire::Retries "3"; Acquire::http::Timeout "60"; Dpkg::Use-Pty "false";',
    ].join('\n'),
  );
  const env = { ...process.env, APT_CONFIG: configuration, LC_ALL: 'C' };
  note(`fetching ${source.packages.join(', ')} of Debian ${source.suite} (once)`);
  await mustRun('apt-get', ['update', '-q', '--error-on=any'], { env });
  const plan = await mustRun('apt-get', ['install', '-y', '-q', '--print-uris', ...source.packages], { env });
  const archives = [...plan.matchAll(/^'[^']+' ([^_ ]+)_\S+\.deb \d+ /gm)].map((match) => match[1] ?? '');
  const wanted = archives.filter((name) => source.packages.includes(name) || NEEDED.test(name));
  const downloads = join(apt, 'downloads');
  mkdirSync(downloads, { recursive: true });
  await mustRun('apt-get', ['download', '-q', ...wanted], { env, cwd: downloads });

  const unpacking = `${root}.unpacking`;
  rmSync(unpacking, { recursive: true, force: true });
  mkdirSync(unpacking);
  for (const archive of readdirSync(downloads))
    await mustRun('dpkg-deb', ['-x', join(downloads, archive), unpacking]);
  renameSync(unpacking, root);
  rmSync(apt, { recursive: true, force: true });
  note(
    `${source.flavour} of Debian ${source.suite} is unpacked, ${((Date.now() - started) / 1000).toFixed(1)} s`,
  );
}

/** The Debian mirror that this machine's apt is configured with; MILLRACE_DEBIAN_MIRROR names another one. */
async function machineMirror(): Promise<string> {
  const named = process.env.MILLRACE_DEBIAN_MIRROR;
  if (named !== undefined) return named;
  const targets = await runProgram('apt-get', [
    'indextargets',
    '--format',
    '$(REPO_URI)',
    'Created-By: Packages',
  ]);
  const candidates = targets.stdout.split('\n').concat(aptSourceFiles().match(/https?:\/\/[^\s\]]+/g) ?? []);
  const mirror = candidates.map((line) => line.trim()).find((line) => /\/debian\/?$/.test(line));
  if (mirror === undefined) {
    throw new Error(
      "this machine's apt knows no Debian mirror; set MILLRACE_DEBIAN_MIRROR to one (a URL ending in /debian)",
    );
  }
  return mirror;
}

function aptSourceFiles(): string {
  const parts = '/etc/apt/sources.list.d';
  const files = [
    '/etc/apt/sources.list',
    ...(existsSync(parts) ? readdirSync(parts).map((name) => join(parts, name)) : []),
  ];
  return files
    .filter((file) => existsSync(file))
    .flatMap((file) => readFileSync(file, 'utf8').split('\n'))
    .filter((line) => !line.startsWith('#'))
    .join('\n');
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

function note(text: string): void {
  process.stderr.write(`servers: ${text}\n`);
}
