/**
 * The wall clock of one process, set to another time while it runs, by libfaketime: every reading of CLOCK_REALTIME is moved by
 * an offset that a file holds. The monotonic clock stays the machine's, as it does when an administrator or NTP sets the time.
 *
 * The library is FAKETIME_LIBRARY, or the machine's, or Debian's package, unpacked into the cache folder.
 */
import { existsSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fetchDebianPackages } from './debian-packages.ts';
import { withFileLock } from './file-lock.ts';
import { findOnPath } from './installed-servers.ts';
import { cacheFolder, temporaryFolder } from './repository.ts';

const LIBRARY = 'libfaketimeMT.so.1';
/** Old enough for the C library of any machine that runs this. */
const SUITE = 'bookworm';

export class FakeClock {
  /** For the process whose clock this is. */
  readonly env: NodeJS.ProcessEnv;
  readonly #file: string;
  /** Its clock minus the machine's. */
  offsetSeconds = 0;

  private constructor(library: string, folder: string) {
    this.#file = join(folder, 'offset');
    this.env = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    };
    this.set(0);
  }

  static async create(): Promise<FakeClock> {
    return new FakeClock(await findLibrary(), temporaryFolder('clock'));
  }

  /** At once: the file is read at every look at the clock. */
  set(offsetSeconds: number): void {
    const temporary = `${this.#file}.new`;
    writeFileSync(temporary, `${offsetSeconds < 0 ? '-' : '+'}${Math.abs(offsetSeconds)}\n`);
    renameSync(temporary, this.#file);
    this.offsetSeconds = offsetSeconds;
  }
}

async function findLibrary(): Promise<string> {
  const named = process.env.FAKETIME_LIBRARY;
  if (named !== undefined) return named;
  const installed = findBelow('/usr/lib');
  if (installed !== null) return installed;
  const missing = ['apt-get', 'dpkg-deb', 'dpkg'].filter((program) => findOnPath(program) === null);
  if (missing.length > 0) {
    throw new Error(
      `no ${LIBRARY}: set FAKETIME_LIBRARY, or install libfaketime (${missing.join(', ')} is missing)`,
    );
  }
  const folder = cacheFolder('servers', `debian-libfaketime-${SUITE}`);
  const root = join(folder, 'root');
  await withFileLock(join(folder, 'lock'), async () => {
    if (existsSync(root)) return;
    await fetchDebianPackages({
      suite: SUITE,
      packages: ['libfaketime'],
      needed: () => false,
      folder,
      root,
      label: 'clocks',
    });
  });
  const unpacked = findBelow(join(root, 'usr/lib'));
  if (unpacked === null) throw new Error(`Debian's libfaketime has no ${LIBRARY}`);
  return unpacked;
}

/** <parent>/<machine's architecture>/faketime/… */
function findBelow(parent: string): string | null {
  if (!existsSync(parent)) return null;
  for (const name of readdirSync(parent)) {
    const path = join(parent, name, 'faketime', LIBRARY);
    if (name.endsWith('-linux-gnu') && existsSync(path)) return path;
  }
  return null;
}
