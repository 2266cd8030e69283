/**
 * Loads the bundle, with the code that V8 made of it when it was built where that fits.
 *
 * Compiling the source takes half of the time until a small delta is on its way. So the build runs
 * the program once, and keeps what was compiled meanwhile beside the bundle, where nobody can put
 * anything who could not change the bundle too: it is run as root, and nothing is kept at run time,
 * in no directory of a user's. The head of the cache names the bundle, of whose source V8 compares
 * the length alone, and the Node that it was made by. With any other Node, and in the packages for
 * all of them, which have no cache, the source is compiled.
 */
const { readFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const { dirname, join } = require('node:path');
const { Script } = require('node:vm');

const BUNDLE = join(__dirname, '../dist/bundle/lvmsync.cjs');
const CACHE = `${BUNDLE}.cache`;
/** V8 copies code that does not begin at a multiple of 8 bytes. */
const HEAD_BYTES = 128;

/** @returns what the bundle exports, and the script, for who makes the cache */
function loadBundle() {
  // The bundle is ASCII, and so are the names of Nodes. It is a function, not a module.
  const source = readFileSync(BUNDLE, 'latin1');
  const head = cacheHead(source);
  const cachedData = readCache(head);
  const script = new Script(source, { filename: BUNDLE, cachedData });
  const module = { exports: {} };
  const run = script.runInThisContext();
  run.call(module.exports, module.exports, createRequire(BUNDLE), module, BUNDLE, dirname(BUNDLE));
  return { ...module.exports, head, script };
}

/** The first line of the bundle has its digest. */
function cacheHead(source) {
  const digest = source.slice(0, source.indexOf('\n'));
  const head = `${digest} ${process.version} ${process.arch}`;
  return `${head.padEnd(HEAD_BYTES - 1)}\n`;
}

function readCache(head) {
  try {
    const cache = readFileSync(CACHE);
    const fits = cache.latin1Slice(0, head.length) === head;
    return fits ? cache.subarray(head.length) : undefined;
  } catch {
    return undefined;
  }
}

module.exports = { CACHE, loadBundle };
