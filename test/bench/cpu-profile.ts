/**
 * A V8 CPU profile, as `node --cpu-prof` writes one for every thread: where the thread was, by function and by part of the
 * program.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface RawProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
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
      const { functionName, lineNumber } = callFrame;
      const module = moduleOf(callFrame.url);
      const name = functionName === '' ? '(anonymous)' : functionName;
      add(functions, module === '' ? name : `${name}  ${module}:${lineNumber + 1}`, spent);
      add(parts, partOf(name, module), spent);
    }
    this.totalMs = [...ms.values()].reduce((sum, each) => sum + each, 0);
    this.functions = sorted(functions);
    this.parts = sorted(parts);
    this.#modules = new Set(raw.nodes.map(({ callFrame }) => moduleOf(callFrame.url)));
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

/** 'applier/apply-worker.js', 'node:net', 'mysql2/lib/…'; '' for what has no source. */
function moduleOf(url: string): string {
  if (url.startsWith('node:')) return url;
  const path = url.replace(/^file:\/\//, '');
  return /\/dist\/(.*)$/.exec(path)?.[1] ?? /\/node_modules\/(.*)$/.exec(path)?.[1] ?? '';
}

function partOf(name: string, module: string): string {
  if (module === '')
    return /^\((idle|program|garbage collector)\)$/.test(name) ? name : 'native code of Node';
  if (module.startsWith('node:')) return `Node: ${module.split('/')[0]}`;
  return module.includes('/') ? `${module.split('/')[0]}/` : module;
}
