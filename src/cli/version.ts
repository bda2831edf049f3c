/**
 * `millrace version`.
 */
import { programVersion } from './program-version.ts';
import { EXIT } from './terminal.ts';
import type { Verb } from './verb.ts';

export const versionVerb: Verb = {
  name: 'version',
  summary: 'Print the version',
  options: (yargs) => yargs,
  async run(_args, terminal) {
    terminal.out(`millrace ${programVersion()}\n`);
    return EXIT.done;
  },
};
