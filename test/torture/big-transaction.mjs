/**
 * node test/torture/big-transaction.mjs [--megabytes 2048] [--row-kilobytes 16] [--progress gtid|table]
 * [--flavour mysql|mariadb]: one transaction bigger than memory is replicated, and the peak memory of Millrace measured.
 */
import { becomeProgram, build, checkNode, installDependencies } from '../bootstrap.mjs';

checkNode();
installDependencies();
build();
becomeProgram('test/torture/big-transaction.ts', process.argv.slice(2));
