#!/usr/bin/env node
// Syntax that an old Node can still read, so that it can say that it is too old.
const version = process.versions.node.split('.').map(Number);
if (version[0] < 20 || (version[0] === 20 && version[1] < 20)) {
  console.error(`millrace: needs Node.js 20.20 or newer, this is ${process.versions.node}`);
  process.exit(1);
}
import('../dist/cli/main.js').then(
  (cli) => cli.main(),
  (error) => {
    if (error.code !== 'ERR_MODULE_NOT_FOUND' || !/dist.cli.main\.js/.test(error.message)) throw error;
    console.error('millrace: not built yet; run `npm run build` first');
    process.exit(1);
  },
);
