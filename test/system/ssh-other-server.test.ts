import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import ssh2, { type ServerChannel } from 'ssh2';
import { loadEngine } from '#lvmsync/block/engines.js';
import { sshTransport } from '#lvmsync/transport/ssh2/transport.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const BYTES = 8 << 20;

/** Of ssh2: it lets the sender go on when half of its window is used, and not before. */
const keys = ssh2.utils.generateKeyPairSync('ed25519');
const server = new ssh2.Server({ hostKeys: [keys.private] }, (client) => {
  client.on('authentication', (context) => context.accept());
  client.on('error', () => {});
  client.on('session', (accept) => {
    accept().on('exec', (acceptExec) => tellDigest(acceptExec()));
  });
});

function tellDigest(channel: ServerChannel): void {
  const digest = createHash('sha256');
  channel.on('data', (bytes: Buffer) => digest.update(bytes));
  channel.on('end', () => {
    channel.write(digest.digest('hex'));
    channel.exit(0);
    channel.end();
  });
}

const directory = temporaryDirectory();
const configPath = `${directory}/config`;
before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  writeFileSync(`${directory}/known`, `[127.0.0.1]:${port} ${keys.public}\n`);
  const lines = ['Host other', 'HostName 127.0.0.1', `Port ${port}`, 'User nobody'];
  lines.push(`UserKnownHostsFile ${directory}/known`, 'IdentityAgent none');
  writeFileSync(configPath, `${lines.join('\n  ')}\n`);
});
after(() => server.close());

for (const [name, engine] of [
  ['the engine', loadEngine('native').engine],
  ['ssh2', undefined],
] as const) {
  test(`when the server is not OpenSSH and ${name} encrypts then all arrives`, async () => {
    const transport = sshTransport({ host: 'other', configPath, terminal: null, engine });
    const channel = await transport.open(['digest'], () => {});
    const data = randomBytes(BYTES);
    channel.input.end(data);
    const told = Buffer.concat(await channel.output.toArray()).toString();
    assert.equal(told, createHash('sha256').update(data).digest('hex'));
    assert.equal((await channel.end).status, 0);
    await transport.close();
  });
}
