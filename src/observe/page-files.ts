/**
 * The files of the page: read once at the start, served from memory. Nothing that is asked for ever becomes a path.
 *
 *   /            page/index.html           /page/…     the other files of page/
 *   /page/uplot.js, /page/uplot.css        of the package uplot
 *   /errors.md   docs/errors.md            what each error code means
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface PageFile {
  readonly type: string;
  readonly body: Buffer;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.md': 'text/markdown; charset=utf-8',
};

/** Two levels above this file, and above what it is bundled into (bundle.js). */
const PACKAGE = fileURLToPath(new URL('../../', import.meta.url));

/** By the path in the URL. Throws when the package is not whole. */
export function readPageFiles(): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>();
  const add = (url: string, path: string): void => {
    const type = TYPES[extname(path)];
    if (type !== undefined) files.set(url, { type, body: readFileSync(path) });
  };
  const folder = join(PACKAGE, 'page');
  for (const name of readdirSync(folder))
    add(name === 'index.html' ? '/' : `/page/${name}`, join(folder, name));
  const uplot = dirname(createRequire(import.meta.url).resolve('uplot/package.json'));
  add('/page/uplot.js', join(uplot, 'dist/uPlot.esm.js'));
  add('/page/uplot.css', join(uplot, 'dist/uPlot.min.css'));
  const errors = join(PACKAGE, 'docs/errors.md');
  if (existsSync(errors)) add('/errors.md', errors);
  return files;
}
