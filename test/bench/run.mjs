/**
 * `npm run bench`: builds the program that is measured, then measures it. Options are those of bench.ts.
 */
import { becomeProgram, build, checkNode, installDependencies } from '../bootstrap.mjs';

checkNode();
installDependencies();
build();
becomeProgram('test/bench/bench.ts', process.argv.slice(2));
