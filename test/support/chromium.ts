/**
 * A Chromium for the tests of the page: the one that CHROMIUM names, an installed one, or Debian's packages unpacked into the
 * cache folder, as the servers are. None: the tests fail and say what would help.
 *
 * <cache>/chromium/debian-<suite>/root    the unpacked tree; appears by rename, so it is whole or absent
 *
 * Debian's Chromium runs on the machine's own C library, so the suite is the machine's own; its other libraries, and fonts where
 * there are none, come with it.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { fetchDebianPackages } from './debian-packages.ts';
import { withFileLock } from './file-lock.ts';
import { findOnPath } from './installed-servers.ts';
import { cacheFolder } from './repository.ts';

interface Program {
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
}

const INSTALLED = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const PACKAGES = ['chromium', 'chromium-common', 'fonts-liberation'];
/** Of everything that apt names: libraries, what fontconfig needs, fonts. No desktop, no services. */
const NEEDED = /^(lib.*|zlib1g|fontconfig-config|fonts-.*|gcc-\d+-base)$/;
/** The machine's own loader and C library belong together. */
const NOT_NEEDED = /^(libc6|libc-bin|libc-l10n|libcrypt1)$/;

export async function launchChromium(): Promise<Browser> {
  const { path, env } = await findChromium();
  return chromium.launch({
    executablePath: path,
    env: { ...process.env, ...env } as Record<string, string>,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--force-color-profile=srgb'],
    timeout: 120_000,
  });
}

async function findChromium(): Promise<Program> {
  const named = process.env.CHROMIUM;
  if (named !== undefined) {
    if (!existsSync(named)) throw new Error(`CHROMIUM names ${named}, which is not there`);
    return { path: named, env: {} };
  }
  for (const name of INSTALLED) {
    const path = findOnPath(name);
    if (path !== null) return { path, env: {} };
  }
  const suite = debianSuite();
  if (suite === null || findOnPath('apt-get') === null || findOnPath('dpkg-deb') === null) {
    throw new Error(
      'No Chromium: this machine has none on PATH and is no Debian from which it could be unpacked. Install one, or name it in CHROMIUM.',
    );
  }
  return unpacked(suite);
}

/** Null: not a Debian. */
function debianSuite(): string | null {
  if (!existsSync('/etc/os-release')) return null;
  const text = readFileSync('/etc/os-release', 'utf8');
  return /^ID=debian$/m.test(text) ? (/^VERSION_CODENAME=(\w+)$/m.exec(text)?.[1] ?? 'sid') : null;
}

async function unpacked(suite: string): Promise<Program> {
  const folder = cacheFolder('chromium', `debian-${suite}`);
  const root = join(folder, 'root');
  if (!existsSync(root)) {
    await withFileLock(join(folder, 'lock'), async () => {
      if (existsSync(root)) return;
      await fetchDebianPackages({
        suite,
        packages: PACKAGES,
        needed: (name) => NEEDED.test(name) && !NOT_NEEDED.test(name),
        folder,
        root,
        label: 'chromium',
      });
    });
  }
  return { path: join(root, 'usr/lib/chromium/chromium'), env: surroundings(root, folder) };
}

function surroundings(root: string, folder: string): NodeJS.ProcessEnv {
  const libraries: string[] = [];
  for (const parent of ['usr/lib', 'lib']) {
    const place = join(root, parent);
    if (!existsSync(place)) continue;
    for (const name of readdirSync(place)) {
      // libpulse finds its own part by an absolute path, which is not where it lies here.
      if (name.endsWith('-linux-gnu')) libraries.push(join(place, name), join(place, name, 'pulseaudio'));
    }
  }
  const fonts = join(folder, 'fonts.conf');
  const cache = join(folder, 'font-cache');
  mkdirSync(cache, { recursive: true });
  writeFileSync(
    fonts,
    `<?xml version="1.0"?>\n<fontconfig><dir>${join(root, 'usr/share/fonts')}</dir><cachedir>${cache}</cachedir></fontconfig>\n`,
  );
  return {
    LD_LIBRARY_PATH: [...libraries, process.env.LD_LIBRARY_PATH ?? '']
      .filter((each) => each !== '')
      .join(':'),
    FONTCONFIG_FILE: fonts,
  };
}
