#!/usr/bin/env node
// CommonJS (package.json beside it), because that is up and running sooner; and syntax that an old Node can still read, so that it can
// say that it is too old.
'use strict';
const version = process.versions.node.split('.').map(Number);
if (version[0] < 20 || (version[0] === 20 && version[1] < 20)) {
  console.error(`millrace: needs Node.js 20.20 or newer, this is ${process.versions.node}`);
  process.exit(1);
}
let cli;
try {
  cli = require('../dist/cli/main.cjs');
} catch (error) {
  if (error.code !== 'MODULE_NOT_FOUND' || !/dist.cli.main\.cjs/.test(error.message)) throw error;
  console.error('millrace: not built yet; run `npm run build` first');
  process.exit(1);
}
cli.main();
