/**
 * `npm run torture`: kill -9 of Millrace and of the target, connections cut at random bytes, all under load; then every
 * row is counted. Options: --kills N --target-kills N --cuts N --seconds S --seed S --progress gtid|table
 * --flavour mysql|mariadb --commit-order source|window|any --coalesce N. What happens is in torture.ts.
 *
 * `npm run torture -- control`: operators' requests at random, with kill -9 in between. Options: --kills N --seed S
 * --progress gtid|table --flavour mysql|mariadb. What happens is in control-torture.ts.
 */
import { becomeProgram, build, checkNode, installDependencies } from '../bootstrap.mjs';

checkNode();
installDependencies();
build();
const args = process.argv.slice(2);
if (args[0] === 'control') becomeProgram('test/torture/control-torture-command.ts', args.slice(1));
else becomeProgram('test/torture/torture-command.ts', args);
