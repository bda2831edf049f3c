/**
 * Makes the code caches of dist: `node code-cache.cjs PIECE…` loads every piece as Millrace does and keeps what V8 has made of it. Called by
 * bundle.js.
 */
'use strict';
const { readFileSync, writeFileSync } = require('node:fs');
const { setFlagsFromString } = require('node:v8');
const { crc32 } = require('node:zlib');
const loader = require('./dist/loader.cjs');

// Every function is compiled now, not at its first call. What V8 is told here it looks for in a cache that it is given: so it is told back.
setFlagsFromString('--no-lazy');
const scripts = new Map();
loader.onCompiled = (filename, script) => scripts.set(filename, script);
for (const piece of process.argv.slice(2)) {
  try {
    loader.load(piece);
  } catch (error) {
    // The threads' entries say so at their very end.
    if (!/runs in a worker thread/.test(error.message)) throw error;
  }
}
setFlagsFromString('--lazy');
for (const [filename, script] of scripts) {
  const cache = script.createCachedData();
  const crc = Buffer.alloc(4);
  crc.writeUInt32LE(crc32(cache, crc32(readFileSync(filename))));
  writeFileSync(`${filename}.cache`, Buffer.concat([cache, crc]));
}
