/**
 * `npm run torture`: kill -9 of Millrace and of the target, connections cut at random bytes, all under load; then every
 * row is counted. Options: --kills N --target-kills N --cuts N --seconds S --seed S --progress gtid|table
 * --flavour mysql|mariadb. What happens is in torture.ts.
 */
import { becomeProgram, build, checkNode, installDependencies } from '../bootstrap.mjs';

checkNode();
installDependencies();
build();
becomeProgram('test/torture/torture-command.ts', process.argv.slice(2));
