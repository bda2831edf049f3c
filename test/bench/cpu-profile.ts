/**
 * A V8 CPU profile, as `node --cpu-prof` writes one for every thread: where the thread was, by function and by part of the
 * program.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { join } from 'node:path';

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
  readonly columnNumber: number;
}

interface RawProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: CallFrame;
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface TimeSpent {
  readonly where: string;
  readonly ms: number;
}

export class CpuProfile {
  readonly totalMs: number;
  /** Most first. */
  readonly functions: readonly TimeSpent[];
  readonly parts: readonly TimeSpent[];
  readonly #modules: ReadonlySet<string>;

  private constructor(raw: RawProfile) {
    const ms = new Map<number, number>();
    const maps: SourceMaps = new Map();
    for (const [i, id] of raw.samples.entries()) {
      ms.set(id, (ms.get(id) ?? 0) + (raw.timeDeltas[i] ?? 0) / 1000);
    }
    const functions = new Map<string, number>();
    const parts = new Map<string, number>();
    const add = (to: Map<string, number>, where: string, spent: number): void => {
      to.set(where, (to.get(where) ?? 0) + spent);
    };
    for (const { id, callFrame } of raw.nodes) {
      const spent = ms.get(id) ?? 0;
      if (spent === 0) continue;
      const { functionName } = callFrame;
      const { module, line } = placeOf(callFrame, maps);
      const name = functionName === '' ? '(anonymous)' : functionName;
      add(functions, module === '' ? name : `${name}  ${module}:${line}`, spent);
      add(parts, partOf(name, module), spent);
    }
    this.totalMs = [...ms.values()].reduce((sum, each) => sum + each, 0);
    this.functions = sorted(functions);
    this.parts = sorted(parts);
    this.#modules = new Set(raw.nodes.map(({ callFrame }) => placeOf(callFrame, maps).module));
  }

  /** All profiles in a folder. */
  static readAll(folder: string): CpuProfile[] {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.cpuprofile'))
      .map((name) => new CpuProfile(JSON.parse(readFileSync(join(folder, name), 'utf8')) as RawProfile));
  }

  /** Whether code of this module ran: tells the threads apart. */
  has(module: string): boolean {
    return [...this.#modules].some((each) => each.endsWith(module));
  }
}

function sorted(spent: ReadonlyMap<string, number>): TimeSpent[] {
  return [...spent].map(([where, ms]) => ({ where, ms })).sort((a, b) => b.ms - a.ms);
}

/** Of the files in dist, by their URL. */
type SourceMaps = Map<string, SourceMap | null>;

/** Where a function stands in the sources: what runs is bundled (bundle.js). */
function placeOf(
  { url, lineNumber, columnNumber }: CallFrame,
  maps: SourceMaps,
): { module: string; line: number } {
  const origin = mapOf(url, maps)?.findEntry(lineNumber, columnNumber);
  if (origin === undefined || !('originalSource' in origin)) {
    return { module: moduleOf(url), line: lineNumber + 1 };
  }
  return { module: moduleOf(origin.originalSource), line: origin.originalLine + 1 };
}

function mapOf(url: string, maps: SourceMaps): SourceMap | null {
  const known = maps.get(url);
  if (known !== undefined) return known;
  const file = `${url.replace(/^file:\/\//, '')}.map`;
  const map =
    url.includes('/dist/') && existsSync(file) ? new SourceMap(JSON.parse(readFileSync(file, 'utf8'))) : null;
  maps.set(url, map);
  return map;
}

/** 'applier/apply-worker.ts', 'node:net', 'mysql2/lib/…'; '' for what has no source. */
function moduleOf(url: string): string {
  if (url.startsWith('node:')) return url;
  const path = url.replace(/^file:\/\//, '');
  return /\/node_modules\/(.*)$/.exec(path)?.[1] ?? /\/(?:src|dist)\/(.*)$/.exec(path)?.[1] ?? '';
}

function partOf(name: string, module: string): string {
  if (module === '')
    return /^\((idle|program|garbage collector)\)$/.test(name) ? name : 'native code of Node';
  if (module.startsWith('node:')) return `Node: ${module.split('/')[0]}`;
  return module.includes('/') ? `${module.split('/')[0]}/` : module;
}
