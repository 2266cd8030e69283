/**
 * Loads a bundle, with the code that V8 made of it when it was built where that fits.
 *
 * Compiling the source takes half of the time until a small delta is on its way. So the build runs
 * the program once, and keeps what was compiled meanwhile beside the bundle, where nobody can put
 * anything who could not change the bundle too: it is run as root, and nothing is kept at run time,
 * in no directory of a user's. The head of the cache names the bundle, of whose source V8 compares
 * the length alone, and the Node that it was made by. With any other Node, and in the packages for
 * all of them, which have no cache, the source is compiled.
 */
const { readFileSync } = require('node:fs');
const { dirname, join } = require('node:path');
const { Script } = require('node:vm');

const BUNDLES = join(__dirname, '../dist/bundle');
/** V8 copies code that does not begin at a multiple of 8 bytes. */
const HEAD_BYTES = 128;

const loaded = new Map();

/**
 * @param name `lvmsync`, or `ssh2`, which `lvmsync` asks for itself
 * @returns what the bundle exports, and what who makes the cache needs
 */
function loadBundle(name) {
  const bundle = loaded.get(name) ?? load(join(BUNDLES, `${name}.cjs`));
  loaded.set(name, bundle);
  return bundle;
}

function load(path) {
  // The bundle is ASCII, and so are the names of Nodes. It is a function, not a module.
  const source = readFileSync(path, 'latin1');
  const head = cacheHead(source);
  const cache = `${path}.cache`;
  const cachedData = readCache(cache, head);
  const script = new Script(source, { filename: path, cachedData });
  const module = { exports: {} };
  const run = script.runInThisContext();
  // What a bundle asks for, Node's own and ssh2's addon, is the same from here.
  run(module.exports, late, module, path, dirname(path), loadBundle);
  return { exports: module.exports, script, head, cache };
}

/** What takes longest to load of Node's own, and is not for every command: when it is wanted. */
const LATE = new Set(
  'child_process crypto fs/promises net stream stream/promises tty'
    .split(' ')
    .map((name) => `node:${name}`),
);

function late(name) {
  return LATE.has(name) ? new Proxy({}, { get: (_, key) => require(name)[key] }) : require(name);
}

/** The first line of the bundle has its digest. */
function cacheHead(source) {
  const digest = source.slice(0, source.indexOf('\n'));
  const head = `${digest} ${process.version} ${process.arch}`;
  return `${head.padEnd(HEAD_BYTES - 1)}\n`;
}

function readCache(path, head) {
  try {
    const cache = readFileSync(path);
    const fits = cache.latin1Slice(0, head.length) === head;
    return fits ? cache.subarray(head.length) : undefined;
  } catch {
    return undefined;
  }
}

module.exports = { loadBundle };
