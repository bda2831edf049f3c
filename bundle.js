/**
 * src → dist: one file for each entry and what they share, the packages that are loaded at a start among it, instead of a thousand
 * modules, each of which Node would look up, open and link in every thread. Outside stay pino, which looks for its own
 * files, and uplot, whose files are given to browsers.
 *
 * Entries keep the places they have in src, and shared pieces lie as deep: what is found by import.meta.url (package.json,
 * the page, a thread's entry) is found alike in src and in dist. Types are checked before (`npm run build`), not here.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

const bundle = await rolldown({
  cwd: import.meta.dirname,
  input: {
    'cli/main': 'src/cli/main.ts',
    'reader/reader-thread': 'src/reader/reader-thread.ts',
    'applier/applier-thread': 'src/applier/applier-thread.ts',
  },
  platform: 'node',
  external: /^(node:|pino$|uplot)/,
});
const { output } = await bundle.write({
  dir: 'dist',
  cleanDir: true,
  format: 'esm',
  sourcemap: true,
  entryFileNames: '[name].js',
  chunkFileNames: 'shared/[name].js',
});
await bundle.close();

writeFileSync(join(import.meta.dirname, 'dist', 'THIRD-PARTY-LICENSES'), licences(output));

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
