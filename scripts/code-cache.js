/**
 * code-cache - keeps the code that V8 makes of the bundles, for bin/load.cjs: of what small transfers
 * take, since functions are compiled when they are first called. Started by scripts/bundle.js, in a
 * process of its own: what else has been loaded would not be the same.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';

const require = createRequire(import.meta.url);
const { loadBundle } = require('../bin/load.cjs');
const LVMSYNC = fileURLToPath(new URL('../bin/lvmsync', import.meta.url));

const directory = mkdtempSync(join(tmpdir(), 'lvmsync-code-cache-'));
process.env.LVMSYNC_STATE_DIR = join(directory, 'state');
const [store, origin, target] = ['store', 'origin', 'target'].map((name) => join(directory, name));
const { main } = loadBundle('lvmsync').exports;
try {
  writeFileSync(store, storeOfOneChunk());
  for (const path of [origin, target]) writeFileSync(path, Buffer.alloc(1 << 20));
  await transfer(target);
  keepCode('lvmsync');
  await transferOverSsh();
  keepCode('ssh2');
} finally {
  rmSync(directory, { recursive: true });
}
process.exit();

async function transfer(...destination) {
  const words = ['-q', '--cow-device', store, '--data-source', origin, ...destination];
  const status = await main(words);
  if (status !== 0) throw new Error(`a small transfer ended with exit status ${status}`);
}

/** To a server of ssh2's own in this process: OpenSSH's need not be there. */
async function transferOverSsh() {
  const { Server, utils } = require('ssh2');
  // Of its Ed25519 keys every few hundredth cannot be read.
  const [host, user] = [1, 2].map(() => utils.generateKeyPairSync('ecdsa', { bits: 256 }));
  const server = new Server({ hostKeys: [host.private] }, (client) => {
    client.on('error', () => {});
    client.on('authentication', (context) => {
      if (context.method === 'publickey') context.accept();
      else context.reject(['publickey']);
    });
    client.on('session', (accept) => {
      accept().on('exec', (acceptExec, _reject, { command }) => run(command, acceptExec()));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  const [knownHosts, identity, config] = ['known_hosts', 'identity', 'config'].map((name) =>
    join(directory, name),
  );
  writeFileSync(knownHosts, `[127.0.0.1]:${port} ${host.public}\n`);
  writeFileSync(identity, user.private, { mode: 0o600 });
  writeFileSync(
    config,
    `Host far
  HostName 127.0.0.1
  Port ${port}
  User user
  IdentityFile ${identity}
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile ${knownHosts}
  GlobalKnownHostsFile none
`,
  );
  const remote = `'${process.execPath}' '${LVMSYNC}'`;
  await transfer('--ssh-config', config, '--remote-command', remote, `far:${target}`);
  server.close();
}

function run(command, channel) {
  const child = spawn('sh', ['-c', command], { stdio: ['pipe', 'pipe', 'inherit'] });
  channel.pipe(child.stdin);
  child.stdout.pipe(channel, { end: false });
  child.on('close', (status) => {
    channel.exit(status);
    channel.end();
  });
}

function keepCode(name) {
  const { script, head, cache } = loadBundle(name);
  // As it is when a bundle is loaded, whatever has been made of it: V8 refuses code that was made
  // with other flags.
  setFlagsFromString('--incremental-marking');
  writeFileSync(cache, Buffer.concat([Buffer.from(head), script.createCachedData()]));
}

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
