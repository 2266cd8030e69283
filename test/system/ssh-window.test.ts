import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ClientChannel } from 'ssh2';
import { connectSsh } from '#lvmsync/transport/ssh2/connection.js';
import { openExecChannel } from '#lvmsync/transport/ssh2/exec-channel.js';
import { shortWindow } from '#lvmsync/transport/ssh2/short-window.js';
import { startSshd, type TestSshd } from '../support/sshd.js';

const KIB = 1024;
/** What waits between sshd and its command, and what encryption adds. */
const ON_THE_WAY_BYTES = 400 * KIB;
const ignore = () => {};

let sshd: TestSshd;
let sentBytes = 0;
const counter = createServer((near) => {
  const far = connect(sshd.port, '127.0.0.1');
  near.on('data', (bytes) => {
    sentBytes += bytes.length;
  });
  near.pipe(far).pipe(near);
  near.on('error', ignore);
  far.on('error', ignore);
});
let configPath: string;
before(async () => {
  sshd = await startSshd();
  await new Promise<void>((resolve) => counter.listen(0, '127.0.0.1', resolve));
  const { port } = counter.address() as AddressInfo;
  configPath = join(sshd.directory, 'counted');
  const way = `  Port ${port}\n  HostKeyAlias [127.0.0.1]:${sshd.port}`;
  writeFileSync(configPath, readFileSync(sshd.configFile, 'utf8').replace(/^ *Port .*$/m, way));
});
after(async () => {
  counter.close();
  await sshd.stop();
});

/** Writes 4 MiB to a command that reads nothing, and resolves how much of it left. */
async function bytesThatLeave(onOpen: (channel: ClientChannel) => void): Promise<number> {
  const connection = await connectSsh(
    { host: sshd.alias, user: undefined, port: undefined },
    {
      source: { configPath, environment: process.env },
      terminal: undefined,
      engine: {},
      onNote: ignore,
      onWarning: ignore,
    },
  );
  let outgoing = { window: Number.POSITIVE_INFINITY };
  const channel = await openExecChannel(connection, 'exec sleep 600', 'sleep', ignore, (opened) => {
    onOpen(opened);
    outgoing = opened.outgoing as typeof outgoing;
  });
  const before = sentBytes;
  channel.input.write(Buffer.alloc(4096 * KIB));
  let seen = -1;
  while (outgoing.window > 0 || sentBytes !== seen) {
    seen = sentBytes;
    await delay(300);
  }
  channel.destroy();
  await connection.close();
  return sentBytes - before;
}

test('when a command reads nothing then the short window is all that leaves', async () => {
  const bytes = await bytesThatLeave(shortWindow('OpenSSH_9.2p1').hold);
  assert.ok(bytes >= 512 * KIB && bytes < 512 * KIB + ON_THE_WAY_BYTES, String(bytes));
});

test('when the server is far away then its whole window leaves', async () => {
  const bytes = await bytesThatLeave((channel) => {
    const window = shortWindow('OpenSSH_9.2p1');
    window.hold(channel);
    window.allowFor(40);
  });
  assert.ok(bytes >= 2048 * KIB && bytes < 2048 * KIB + ON_THE_WAY_BYTES, String(bytes));
});
