/**
 * Debian packages, unpacked into a folder: no root, nothing installed, nothing changed on the machine.
 *
 * A private apt (own lists, own empty status, own cache) verifies the archive's signatures as usual, downloads the
 * packages with what they need, and dpkg-deb unpacks them side by side. The mirror is the machine's own one.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun, runProgram } from './program.ts';

export interface PackageWish {
  readonly suite: string;
  readonly packages: readonly string[];
  /** Of the packages that these depend on: which to take. */
  readonly needed: (name: string) => boolean;
  /** Room for apt's own files; removed afterwards. */
  readonly folder: string;
  /** Where the tree appears, whole, by rename. */
  readonly root: string;
  /** Before each note to people. */
  readonly label: string;
}

export async function fetchDebianPackages(wish: PackageWish): Promise<void> {
  const { suite, packages, needed, folder, root, label } = wish;
  const mirror = await machineMirror();
  const started = Date.now();
  const apt = join(folder, 'apt');
  for (const part of ['etc', 'state/lists/partial', 'cache/archives/partial']) {
    mkdirSync(join(apt, part), { recursive: true });
  }
  writeFileSync(join(apt, 'status'), '');
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const signedBy = existsSync(keyring) ? `[signed-by=${keyring}] ` : '';
  writeFileSync(join(apt, 'etc/sources.list'), `deb ${signedBy}${mirror} ${suite} main\n`);
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
  note(label, `fetching ${packages.join(', ')} of Debian ${suite} (once)`);
  await mustRun('apt-get', ['update', '-q', '--error-on=any'], { env });
  const plan = await mustRun('apt-get', ['install', '-y', '-q', '--print-uris', ...packages], { env });
  const archives = [...plan.matchAll(/^'[^']+' ([^_ ]+)_\S+\.deb \d+ /gm)].map((match) => match[1] ?? '');
  const wanted = archives.filter((name) => packages.includes(name) || needed(name));
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
    label,
    `${packages[0]} of Debian ${suite} is unpacked, ${((Date.now() - started) / 1000).toFixed(1)} s`,
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

function note(label: string, text: string): void {
  process.stderr.write(`${label}: ${text}\n`);
}
