/**
 * node test/torture/delay.mjs: 10,000 transactions at a delay of 5 s, with steps of ±1 h of Millrace's clock and restarts in
 * between; how early or late each was applied is read from both servers' binary logs. Options: --transactions N --delay-ms N
 * --per-second N --restarts N --steps N --source-steps N --clients N --seed S. What happens is in delay.ts.
 */
import { becomeProgram, build, checkNode, installDependencies } from '../bootstrap.mjs';

checkNode();
installDependencies();
build();
becomeProgram('test/torture/delay-command.ts', process.argv.slice(2));
