/**
 * The machine that figures were taken on, and how quiet it was meanwhile. No host name and no path: figures are published.
 */
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../support/program.ts';
import { cacheFolder, repositoryRoot } from '../support/repository.ts';
import { percentile } from './measurements.ts';
import { foreignCpuSeconds, stolenSeconds } from './process-usage.ts';

export interface MachineFacts {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly node: string;
  readonly mysql: string;
}

export function machineFacts(mysql: string): MachineFacts {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release().replace(/[^\d.].*$/, ''),
    node: process.versions.node,
    mysql,
  };
}

/** What might have disturbed figures between `startWatching` and `stopWatching`. */
export interface Conditions {
  readonly seconds: number;
  /** Share of all cores used by processes that are not ours. */
  readonly foreignCpu: number;
  /** Share of all cores taken away by the machine below. */
  readonly steal: number;
  readonly loadBefore: number;
  readonly loadAfter: number;
  /** fdatasync of 4 KiB, ms. */
  readonly fsyncBefore: FsyncTimes;
  readonly fsyncAfter: FsyncTimes;
  /** Others used so much of the machine that the figures are not valid. */
  readonly noisy: boolean;
}

export interface FsyncTimes {
  readonly p50: number;
  readonly p99: number;
}

const FOREIGN_CPU_MAX = 0.05;
const STEAL_MAX = 0.05;
const PROBES = 300;

export class Watch {
  readonly #startedMs = performance.now();
  readonly #foreign = foreignCpuSeconds();
  readonly #stolen = stolenSeconds();
  readonly #load = load();
  readonly #fsync = probeFsync();

  end(): Conditions {
    const seconds = (performance.now() - this.#startedMs) / 1000;
    const capacity = seconds * availableParallelism();
    // A process that ended beside its parent's knowledge takes its time along.
    const foreignCpu = Math.max(0, foreignCpuSeconds() - this.#foreign) / capacity;
    const steal = (stolenSeconds() - this.#stolen) / capacity;
    return {
      seconds,
      foreignCpu,
      steal,
      loadBefore: this.#load,
      loadAfter: load(),
      fsyncBefore: this.#fsync,
      fsyncAfter: probeFsync(),
      noisy: foreignCpu > FOREIGN_CPU_MAX || steal > STEAL_MAX,
    };
  }
}

function load(): number {
  return loadavg()[0] ?? Number.NaN;
}

function probeFsync(): FsyncTimes {
  const file = join(cacheFolder('bench'), `fsync-probe.${process.pid}`);
  const block = Buffer.alloc(4096, 0x5a);
  const fd = openSync(file, 'w');
  const times: number[] = [];
  try {
    for (let i = 0; i < PROBES; i++) {
      writeSync(fd, block, 0, block.length, i * block.length);
      const startedMs = performance.now();
      fdatasyncSync(fd);
      times.push(performance.now() - startedMs);
    }
  } finally {
    closeSync(fd);
    rmSync(file, { force: true });
  }
  return { p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
}

/** The commit that was measured, with `+` when files differ from it; `unknown` outside of a working copy. */
export async function commitName(): Promise<string> {
  const git = (args: readonly string[]) => runProgram('git', args, { cwd: repositoryRoot });
  try {
    const head = await git(['rev-parse', '--short=10', 'HEAD']);
    if (head.code !== 0) return 'unknown';
    const changed = await git(['status', '--porcelain', '--', 'src', 'bin', 'test/bench']);
    return head.stdout.trim() + (changed.stdout.trim() === '' ? '' : '+');
  } catch {
    return 'unknown';
  }
}
