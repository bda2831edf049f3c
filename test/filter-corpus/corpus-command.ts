/**
 * The command line of the filter corpus: --flavour mysql|mariadb (both), --only WORDS (cases whose group or name has them).
 * Progress to stderr, figures to stdout. Exit code 0 only when nothing differs.
 */
import { parseArgs } from 'node:util';
import { readCorpus } from './corpus.ts';
import { runCorpus } from './corpus-run.ts';

const { values } = parseArgs({ options: { flavour: { type: 'string' }, only: { type: 'string' } } });
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

let failed = false;
for (const flavour of ['mysql', 'mariadb'] as const) {
  if (values.flavour !== undefined && values.flavour !== flavour) continue;
  const cases = readCorpus(flavour).filter(
    ({ group, name }) => values.only === undefined || `${group}: ${name}`.includes(values.only),
  );
  const started = Date.now();
  const result = await runCorpus(flavour, cases, (line) => console.error(line));
  failed ||= result.differing.length > 0;
  const seconds = Math.round((Date.now() - started) / 1000);
  console.log(
    `${flavour}: ${result.cases} cases, differing ${result.differing.length}; both stopped ${result.stopped.length}; ` +
      `only the native replica stopped ${result.wentOn.length}; ${seconds} s`,
  );
  for (const line of result.stopped) console.log(`  both stopped: ${line}`);
  for (const line of result.wentOn) console.log(`  only the native replica stopped: ${line}`);
  for (const line of result.differing) console.log(`  DIFFERS: ${line}`);
}
process.exit(failed ? 1 : 0);
