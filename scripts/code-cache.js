/**
 * code-cache - keeps the code that V8 makes of the bundle, for bin/load.cjs: of what a small transfer
 * takes, since functions are compiled when they are first called. Started by scripts/bundle.js, in a
 * process of its own: what else has been loaded would not be the same.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';

const { CACHE, loadBundle } = createRequire(import.meta.url)('../bin/load.cjs');

rmSync(CACHE, { force: true });
const { main, head, script } = loadBundle();
const directory = mkdtempSync(join(tmpdir(), 'lvmsync-code-cache-'));
process.env.LVMSYNC_STATE_DIR = join(directory, 'state');
try {
  const [store, origin, target] = ['store', 'origin', 'target'].map((name) =>
    join(directory, name),
  );
  writeFileSync(store, storeOfOneChunk());
  for (const path of [origin, target]) writeFileSync(path, Buffer.alloc(1 << 20));
  const status = await main(['-q', '--cow-device', store, '--data-source', origin, target]);
  if (status !== 0) throw new Error(`a small transfer ended with exit status ${status}`);
  // As it is when the bundle is loaded, whatever the engine has made of it: V8 refuses code that was
  // made with other flags.
  setFlagsFromString('--incremental-marking');
  writeFileSync(CACHE, Buffer.concat([Buffer.from(head), script.createCachedData()]));
} finally {
  rmSync(directory, { recursive: true });
}
process.exit();

/** An exception store in which chunk 0 has changed, as drivers/md/dm-snap-persistent.c has it. */
function storeOfOneChunk() {
  const CHUNK_BYTES = 4096;
  const store = Buffer.alloc(3 * CHUNK_BYTES);
  // Magic, valid, version, sectors per chunk.
  for (const [index, word] of [0x70416e53, 1, 1, CHUNK_BYTES / 512].entries()) {
    store.writeUInt32LE(word, 4 * index);
  }
  store.writeBigUInt64LE(2n, CHUNK_BYTES + 8); // chunk 0 is kept in chunk 2
  return store;
}
