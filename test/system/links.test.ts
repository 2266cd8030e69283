/** One transfer over several channels, several connections, or TLS; with a real sshd. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type DelayProxy, startDelayProxy } from '../support/delay-proxy.js';
import { createDelta, type Delta } from '../support/delta.js';
import { lvmsyncOk } from '../support/lvmsync.js';
import { lvmsyncPath } from '../support/repository.js';
import { startSshd, type TestSshd } from '../support/sshd.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const MIB = 1 << 20;
const directory = temporaryDirectory();
let delta: Delta;
let sshd: TestSshd;
let strict: TestSshd;
let proxy: DelayProxy;
/** For `ssh -F`: the same server, 40 ms away. */
let farConfig: string;
let targetCount = 0;

before(async () => {
  delta = createDelta(directory, 40, 144 * MIB);
  sshd = await startSshd();
  strict = await startSshd({ extraLines: ['AllowStreamLocalForwarding no'] });
  proxy = await startDelayProxy(sshd.port, 20);
  farConfig = join(directory, 'far');
  const config = readFileSync(sshd.configFile, 'utf8');
  const alias = `  HostKeyAlias [127.0.0.1]:${sshd.port}`;
  writeFileSync(farConfig, config.replace(/^ *Port .*$/m, `  Port ${proxy.port}\n${alias}`));
});
after(async () => {
  proxy?.close();
  await sshd?.stop();
  await strict?.stop();
});

/** Sends to a new target; what was said on standard error. */
async function send(config: string, ...options: string[]): Promise<string> {
  const target = delta.target(`target-${targetCount++}`);
  const way = ['-v', '--ssh-config', config, ...options];
  const { stderr } = await lvmsyncOk([...way, ...delta.source, `${sshd.alias}:${target}`]);
  assert.ok(delta.holds(target, delta.after), stderr);
  return stderr;
}

/** Directories of sockets, of either end. */
const socketDirectories = () =>
  readdirSync(tmpdir()).filter((name) => /^lvmsync-[^-]{6}$/.test(name));

describe('several links', () => {
  for (const channels of [2, 5, 16]) {
    test(`when there are ${channels} channels then all are joined and the target is right`, async () => {
      const said = await send(farConfig, '--channels', String(channels));
      assert.match(said, new RegExp(`${channels} channels over 1 connections`));
    });
  }

  test('when the other end is far away and nothing is said then there are several channels', async () => {
    assert.match(await send(farConfig), /1[0-6] channels over 1 connections/);
  });

  test('when there are two connections of two channels then four channels are joined', async () => {
    const said = await send(farConfig, '--streams', '2', '--channels', '2');
    // On a busy machine all may have been sent before the last ones are there.
    assert.match(said, /[2-4] channels over 2 connections/);
  });

  test('when -e ssh is used then further channels go over a connection of their own', async () => {
    const said = await send(farConfig, '-e', `ssh -F ${farConfig}`, '--channels', '3');
    assert.match(said, /3 channels over 2 connections/);
  });

  test('when the run is transactional then the spool takes the records of all links', async () => {
    const said = await send(farConfig, '--channels', '4', '--transactional');
    assert.match(said, /4 channels/);
  });

  test('when the server forbids forwarding then one channel carries all, and that is said', async () => {
    assert.match(
      await send(strict.configFile, '--channels', '4'),
      /no further links, going on: .*AllowStreamLocalForwarding|no further links, going on/,
    );
  });

  test('when a connection is cut in the middle then the run goes on with new ones', async () => {
    const slow = await startDelayProxy(sshd.port, 100);
    const config = join(directory, 'slow');
    const text = readFileSync(farConfig, 'utf8');
    writeFileSync(config, text.replace(/^ *Port .*$/m, `  Port ${slow.port}`));
    const target = delta.target(`target-${targetCount++}`);
    const options = ['-v', '--ssh-config', config, '--streams', '2', '--channels', '1'];
    const args = [lvmsyncPath, ...options, ...delta.source, `${sshd.alias}:${target}`];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    let isCut = false;
    child.stderr.on('data', (bytes: Buffer) => {
      said += bytes;
      if (isCut || !said.includes('2 channels over 2 connections')) return;
      isCut = true;
      slow.cutLast();
    });
    const [status] = await once(child, 'close');
    slow.close();
    assert.equal(status, 0, said);
    assert.match(said, /trying again in 1 s/);
    assert.match(said, /resuming at offset/);
    assert.ok(delta.holds(target, delta.after));
  });

  test('when a run is over then none of its sockets is left', async () => {
    const there = socketDirectories();
    await send(farConfig, '--channels', '4', '--streams', '2');
    assert.deepEqual(socketDirectories(), there);
  });
});

describe('a data channel over TLS', () => {
  test('when it can be reached then it carries the data', async () => {
    const said = await send(sshd.configFile, '--data-channel', 'tls');
    assert.match(said, /data over TLS 1.3 to 127.0.0.1 port \d+, 1 links/);
  });

  // By the engine, and, from five on, by Node.
  for (const streams of [3, 5]) {
    test(`when ${streams} connections are asked for then as many carry the data`, async () => {
      const options = ['--data-channel', 'tls', '--streams', String(streams)];
      const said = await send(sshd.configFile, ...options);
      assert.match(said, new RegExp(`data over TLS 1.3 to .*, ${streams} links`));
    });
  }

  test('when the receiver may not listen then the SSH channel carries the data, and that is said', async () => {
    const said = await send(
      sshd.configFile,
      '--data-channel',
      'tls',
      '--remote-command',
      'env -u SSH_CONNECTION lvmsync',
    );
    assert.match(said, /no further links, the SSH channel carries the data: .*address/);
  });
});
