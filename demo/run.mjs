/**
 * `npm run demo`: from a fresh clone to a replicated shop that survives kill -9. Plain JavaScript, because nothing is
 * installed yet when it begins; the demonstration itself is demo.ts.
 *
 *   npm run demo              shows it and cleans up; exit code 0 only when source and target are equal
 *   npm run demo -- --keep    leaves it running afterwards and says how to connect
 */
import { becomeProgram, build, checkNode, installDependencies } from '../test/bootstrap.mjs';

checkNode();
installDependencies();
build();
becomeProgram('demo/demo.ts', process.argv.slice(2));
