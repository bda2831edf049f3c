/**
 * The direction of the house: data moves to the right, imports point left, nobody reaches across (ARCHITECTURE.md).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { repositoryRoot } from './support/repository.ts';

/** What each folder of src may import, besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  binlog: ['base'],
  wire: ['base', 'binlog'],
  relay: ['base', 'binlog', 'wire'],
  rules: ['base', 'binlog'],
  target: ['base', 'binlog', 'wire'],
  reader: ['base', 'binlog', 'wire', 'relay'],
  applier: ['base', 'binlog', 'wire', 'relay', 'rules', 'target'],
  config: ['base', 'rules'],
  preflight: ['base', 'binlog', 'wire', 'relay', 'rules', 'reader', 'target', 'applier', 'config'],
  channel: ['base', 'binlog', 'wire', 'relay', 'rules', 'reader', 'applier', 'config', 'preflight'],
  observe: [
    'base',
    'binlog',
    'wire',
    'relay',
    'rules',
    'reader',
    'applier',
    'config',
    'preflight',
    'channel',
  ],
  cli: [
    'base',
    'binlog',
    'wire',
    'relay',
    'rules',
    'reader',
    'applier',
    'config',
    'preflight',
    'channel',
    'observe',
  ],
};

/** Where each package may be imported: one folder or one file knows it. Paths below src. */
const PACKAGE_HOMES: Readonly<Record<string, readonly string[]>> = {
  mysql2: ['wire/', 'target/'],
  '@vlasky/zongji': ['binlog/position-set.ts'],
  fzstd: ['binlog/'],
  pino: ['channel/', 'cli/'],
  yaml: ['config/'],
  zod: ['config/'],
  yargs: ['cli/'],
  'cli-table3': ['cli/'],
  'prom-client': ['observe/metrics.ts'],
};

/** The only places that take events apart by type: the decoder, and the grammar of a transaction. */
const EVENT_SWITCHES = ['binlog/decode-event.ts', 'binlog/transaction-boundary.ts'];
const EVENT_NAMES = 'binlog/event-header.ts';

const FILE_LINES_MAX = 500;
const FORBIDDEN_FILES = /^(utils?|helpers?|common|misc|shared|managers?|index)\.ts$/;
const FORBIDDEN_NAMES =
  /\b(?:class|interface|type)\s+((?:I[A-Z][a-z]\w*)|\w*(?:Manager|Helper|Util|Utils))\b/g;

interface Module {
  /** Below src, with forward slashes: 'relay/relay-log-writer.ts'. */
  readonly path: string;
  readonly folder: string;
  readonly text: string;
  /** Modules of src, by path. */
  readonly inner: readonly string[];
  /** Packages and node: modules. */
  readonly outer: readonly string[];
}

const source = join(repositoryRoot, 'src');
const modules = filesBelow(source, '.ts').map(readModule);

function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending) && !name.split(sep).includes('node_modules'))
    .map((name) => join(folder, name));
}

function readModule(file: string): Module {
  const text = readFileSync(file, 'utf8');
  const inner: string[] = [];
  const outer: string[] = [];
  for (const { fileName } of ts.preProcessFile(text, true, true).importedFiles) {
    if (fileName.startsWith('.')) inner.push(below(resolve(dirname(file), fileName)));
    else outer.push(fileName);
  }
  const path = below(file);
  return { path, folder: path.split('/')[0] ?? '', text, inner, outer };
}

function below(file: string): string {
  return relative(source, file).split(sep).join('/');
}

/** 'mysql2/promise' → 'mysql2'; null for node's own modules. */
function packageName(specifier: string): string | null {
  if (specifier.startsWith('node:')) return null;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

describe('the architecture of src', () => {
  test('there are modules to look at, in every folder with a rule', () => {
    expect(modules.length).toBeGreaterThan(30);
    const folders = new Set(modules.map(({ folder }) => folder));
    expect([...folders].filter((folder) => !(folder in MAY_IMPORT))).toEqual([]);
  });

  test('imports point to the left and never across', () => {
    const wrong: string[] = [];
    for (const { path, folder, inner } of modules) {
      for (const imported of inner) {
        const from = imported.split('/')[0] ?? '';
        if (from !== folder && !MAY_IMPORT[folder]?.includes(from)) wrong.push(`${path} imports ${imported}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('every import names a module that exists, with its ending', () => {
    const known = new Set(modules.map(({ path }) => path));
    const wrong = modules.flatMap(({ path, inner }) =>
      inner.filter((imported) => !known.has(imported)).map((imported) => `${path} imports ${imported}`),
    );
    expect(wrong).toEqual([]);
  });

  test('no module imports itself by a detour', () => {
    expect(findCycles(new Map(modules.map(({ path, inner }) => [path, inner])))).toEqual([]);
  });

  test('each package is known to one place only', () => {
    const wrong: string[] = [];
    let seen = 0;
    for (const { path, outer } of modules) {
      for (const name of outer.map(packageName)) {
        if (name === null) continue;
        seen += 1;
        const homes = PACKAGE_HOMES[name];
        if (homes === undefined || !homes.some((home) => path === home || path.startsWith(home))) {
          wrong.push(`${path} imports ${name}`);
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(seen).toBeGreaterThan(0);
  });

  test('events are taken apart by type in one place, and transactions in another', () => {
    const wrong = modules
      .filter(({ path }) => !EVENT_SWITCHES.includes(path) && path !== EVENT_NAMES)
      .filter(
        ({ text }) =>
          /\bcase\s+EventType\./.test(text) || (text.match(/\[EventType\.\w+\]\s*:/g) ?? []).length > 2,
      )
      .map(({ path }) => path);
    expect(wrong).toEqual([]);
    expect(modules.filter(({ path }) => EVENT_SWITCHES.includes(path))).toHaveLength(EVENT_SWITCHES.length);
  });

  test('a file is one noun: no catch-all names', () => {
    const wrong = modules.filter(({ path }) => FORBIDDEN_FILES.test(basename(path))).map(({ path }) => path);
    for (const { path, text } of modules) {
      for (const match of text.matchAll(FORBIDDEN_NAMES)) wrong.push(`${path}: ${match[1]}`);
    }
    expect(wrong).toEqual([]);
    expect(modules.filter(({ path }) => !/^[a-z0-9-/]+\.ts$/.test(path)).map(({ path }) => path)).toEqual([]);
  });
});

test(`no file of the project is longer than ${FILE_LINES_MAX} lines`, () => {
  const files = ['src', 'test', 'bin', 'demo'].flatMap((folder) =>
    ['.ts', '.js', '.mjs'].flatMap((ending) => filesBelow(join(repositoryRoot, folder), ending)),
  );
  expect(files.length).toBeGreaterThan(50);
  const long = files
    .map((file) => ({
      file: relative(repositoryRoot, file),
      lines: readFileSync(file, 'utf8').split('\n').length - 1,
    }))
    .filter(({ lines }) => lines > FILE_LINES_MAX);
  expect(long).toEqual([]);
});

test('cycles are found where there are some', () => {
  const graph = new Map([
    ['a', ['b']],
    ['b', ['c']],
    ['c', ['a', 'd']],
    ['d', []],
  ]);
  expect(findCycles(graph)).toEqual(['a → b → c → a']);
});

/** Depth first; each cycle once, as the path that closes it. */
function findCycles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const cycles: string[] = [];
  const finished = new Set<string>();
  const path: string[] = [];
  const visit = (module: string): void => {
    if (finished.has(module)) return;
    const at = path.indexOf(module);
    if (at >= 0) {
      cycles.push([...path.slice(at), module].join(' → '));
      return;
    }
    path.push(module);
    for (const imported of graph.get(module) ?? []) visit(imported);
    path.pop();
    finished.add(module);
  };
  for (const module of graph.keys()) visit(module);
  return cycles;
}
