import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { ServerChannel } from 'ssh2';
import { loadEngine } from '#lvmsync/block/engines.js';
import { sshTransport } from '#lvmsync/transport/ssh2/transport.js';
import { readAll } from '../support/read-all.js';
import { type Ssh2Server, startSsh2Server } from '../support/ssh2-server.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const BYTES = 8 << 20;

function tellDigest(channel: ServerChannel): void {
  const digest = createHash('sha256');
  channel.on('data', (bytes: Buffer) => digest.update(bytes));
  channel.on('end', () => {
    channel.write(digest.digest('hex'));
    channel.exit(0);
    channel.end();
  });
}

/** It lets the sender go on when half of its window is used, and not before. */
let server: Ssh2Server;
const directory = temporaryDirectory();
before(async () => {
  server = await startSsh2Server(directory, (context) => context.accept(), tellDigest);
});
after(() => server.stop());

for (const [name, engine] of [
  ['the engine', loadEngine('native').engine],
  ['ssh2', undefined],
] as const) {
  test(`when the server is not OpenSSH and ${name} encrypts then all arrives`, async () => {
    const transport = sshTransport({
      host: '127.0.0.1',
      user: 'nobody',
      port: server.port,
      configPath: '/dev/null',
      configOptions: ['IdentityAgent=none', `UserKnownHostsFile=${server.knownHostsFile}`],
      terminal: null,
      engine,
    });
    const channel = await transport.open(['digest'], () => {});
    const data = randomBytes(BYTES);
    channel.input.write(data);
    channel.input.end();
    const told = (await readAll(channel.answers)).toString();
    assert.equal(told, createHash('sha256').update(data).digest('hex'));
    assert.equal((await channel.end).status, 0);
    await transport.close();
  });
}
