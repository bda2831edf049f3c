/**
 * Loads what bundle.js has written: each piece of dist with its code cache, which is what V8 has made of its text before, so
 * that a start does not parse and compile it again, in three threads. Copied into dist as it is.
 *
 *   cli/main.cjs             an entry, by the name that others know: it has the loader load
 *   cli/main.piece.cjs       what the entry is
 *   shared/NAME.cjs          a piece of several; every piece is a function, as Node makes of a module
 *   ….cache                  code cache · u32 LE CRC32 of the piece's text and of the code cache
 *
 * V8 refuses a cache of another version or of other flags; a damaged one it would run, and so it would another text's of the same length:
 * hence the CRC. Without a cache the text is compiled, which takes longer and is all. Nothing is written here. Any thread.
 */
'use strict';
const { readFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const { dirname, join } = require('node:path');
const { Script } = require('node:vm');
const { crc32 } = require('node:zlib');

const CRC_LENGTH = 4;

const modules = new Map();

/** What the piece exports. It is run once a thread, as `require` would. */
function load(filename) {
  const known = modules.get(filename);
  if (known !== undefined) return known.exports;
  const module = { exports: {} };
  modules.set(filename, module);
  const text = readFileSync(filename);
  const script = new Script(text.latin1Slice(), {
    filename,
    cachedData: cacheOf(filename, text),
  });
  exports.onCompiled?.(filename, script);
  const folder = dirname(filename);
  const outside = createRequire(filename);
  const inside = (name) => (name.startsWith('.') ? load(join(folder, name)) : outside(name));
  script.runInThisContext().call(module.exports, module.exports, inside, module, filename, folder);
  return module.exports;
}

function cacheOf(filename, text) {
  let file;
  try {
    file = readFileSync(`${filename}.cache`);
  } catch {
    return undefined;
  }
  const end = file.length - CRC_LENGTH;
  if (end < 0) return undefined;
  const cache = file.subarray(0, end);
  return file.readUInt32LE(end) === crc32(cache, crc32(text)) ? cache : undefined;
}

exports.load = load;
/** For who makes the caches: called with every piece and its script. */
exports.onCompiled = undefined;
