/**
 * `npm run filter-corpus`: every case of the filter corpus through a native replica and through Millrace. Options:
 * --flavour mysql|mariadb --only WORDS. What is compared is in filter-lab.ts.
 */
import { becomeProgram, build, checkNode, installDependencies } from '../bootstrap.mjs';

checkNode();
installDependencies();
build();
becomeProgram('test/filter-corpus/corpus-command.ts', process.argv.slice(2));
