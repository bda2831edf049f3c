/**
 * src → dist: one file for each entry and what they share, the packages that are loaded at a start among it, instead of a thousand
 * modules, each of which Node would look up, open and link in every thread. Outside stay pino, which looks for its own
 * files, and uplot, whose files are given to browsers.
 *
 * Entries keep the places they have in src, and shared pieces lie as deep: what is found by import.meta.url (package.json,
 * the page, a thread's entry) is found alike in src and in dist. Types are checked before (`npm run build`), not here.
 */
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
await bundle.write({
  dir: 'dist',
  cleanDir: true,
  format: 'esm',
  sourcemap: true,
  entryFileNames: '[name].js',
  chunkFileNames: 'shared/[name].js',
});
await bundle.close();
