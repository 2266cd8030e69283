/** Blocks of changed chunks that are as they were, left out only where the target holds them. */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { planRandomStore, writeStore } from '../support/cow-store.js';
import { lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { createRandom, type Random } from '../support/random.js';
import { repositoryRoot } from '../support/repository.js';
import { startSshd, type TestSshd } from '../support/sshd.js';
import { createStoreFixture, sameContent } from '../support/store-fixture.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const MIB = 1 << 20;
const BLOCK_BYTES = 4096;
const directory = temporaryDirectory();

/** A volume of whose chunks with an exception nearly all have changed, in one block each. */
function sparse(seed: number, chunkBytes: number, originBytes = 16 * MIB + 2560) {
  const random = createRandom(seed);
  const changedChunks = Math.floor(originBytes / chunkBytes / 2);
  const fixture = createStoreFixture(directory, {
    seed,
    originBytes,
    chunkBytes,
    changedChunks,
    content(chunk) {
      if (random.chance(0.9)) chunk[random.below(chunk.length)]! ^= 1;
    },
  });
  const { origin, base } = fixture;
  const unit = Math.min(BLOCK_BYTES, chunkBytes);
  let changedBytes = 0;
  let chunkTotal = 0;
  for (const offset of fixture.changedOffsets) {
    const end = Math.min(offset + chunkBytes, originBytes);
    chunkTotal += end - offset;
    for (let at = offset; at < end; at += unit) {
      const blockEnd = Math.min(at + unit, end);
      if (!origin.subarray(at, blockEnd).equals(base.subarray(at, blockEnd))) {
        changedBytes += blockEnd - at;
      }
    }
  }
  return { ...fixture, changedBytes, chunkTotal };
}

const large = sparse(1, 65536);
const small = sparse(2, 16384);
const rsh = ['-e', large.rsh()];

function sentBytes(stderr: string): number {
  return Number(/^Transferred (\d+) bytes/m.exec(stderr)?.[1]);
}

describe('--skip-unchanged', () => {
  let sshd: TestSshd;
  before(async () => {
    sshd = await startSshd();
  });
  after(() => sshd.stop());

  /** The ways to a receiver. */
  const ways: Record<string, (path: string) => string[]> = {
    'on this machine': (path) => [path],
    'over a command': (path) => [...rsh, `backup:${path}`],
    'over SSH': (path) => ['--ssh-config', sshd.configFile, `${sshd.alias}:${path}`],
    'over four channels': (path) => [
      ...['--channels', '4', '--ssh-config', sshd.configFile, `${sshd.alias}:${path}`],
    ],
    'over TLS': (path) => [
      ...['--data-channel', 'tls', '--ssh-config', sshd.configFile, `${sshd.alias}:${path}`],
    ],
    'with the js engine': (path) => ['--engine', 'js', ...rsh, `backup:${path}`],
    'all or nothing': (path) => ['--transactional', ...rsh, `backup:${path}`],
    'with a full check of the base': (path) => ['--verify-base', 'full', ...rsh, `b:${path}`],
  };
  for (const [way, destination] of Object.entries(ways)) {
    test(`when it is asked for ${way} then just the blocks that differ are sent`, async () => {
      const path = large.target('target', large.base);
      const args = [...large.source, '-v', '--skip-unchanged', ...destination(path)];
      const { stderr } = await lvmsyncOk(args);
      assert.equal(sentBytes(stderr), large.changedBytes, stderr);
      assert.ok(sameContent(path, large.origin));
    });
  }

  for (const chunkBytes of [4096, 512, 2 * MIB]) {
    test(`when chunks have ${chunkBytes} bytes then those or their blocks that differ are sent`, async () => {
      const { base, origin, source, changedBytes, target } = sparse(chunkBytes, chunkBytes);
      const path = target('target', base);
      const { stderr } = await lvmsyncOk([...source, '-v', '--skip-unchanged', path]);
      assert.ok(sameContent(path, origin));
      assert.equal(sentBytes(stderr), changedBytes, stderr);
    });
  }

  test('when nothing is said then large chunks are compared, on their way to another host', async () => {
    /** Whether anything was compared. */
    const compares = async (fixture: typeof large, options: string[], host = '') => {
      const path = fixture.target('target', fixture.base);
      const args = [...fixture.source, '-v', ...options, `${host}${path}`];
      const { stderr } = await lvmsyncOk(args);
      assert.ok(sameContent(path, fixture.origin));
      const compared = /^unchanged blocks: \d+ bytes were compared/m.test(stderr);
      if (!compared) assert.equal(sentBytes(stderr), fixture.chunkTotal);
      return compared;
    };
    assert.equal(await compares(large, rsh, 'backup:'), true);
    assert.equal(await compares(large, []), false);
    assert.equal(await compares(large, [...rsh, '--no-skip-unchanged'], 'backup:'), false);
    assert.equal(await compares(small, rsh, 'backup:'), false);
    assert.equal(await compares(small, ['--skip-unchanged']), true);
  });

  test('when there is nobody to ask then it is refused, and a stream has whole chunks', async () => {
    const path = large.target('target', large.base);
    const wanted = [...large.source, '--skip-unchanged'];
    await lvmsyncFails([...wanted, '--stdout'], 2, /needs a receiver that can be asked/);
    await lvmsyncFails([...wanted, '--protocol', '3', path], 2, /needs a receiver/);
    assert.ok(sameContent(path, large.base));
    for (const protocol of ['3', '4']) {
      const args = [...large.source, '--stdout', '--protocol', protocol];
      const { stdout } = await lvmsyncOk([...args, '--no-skip-unchanged']);
      assert.ok(stdout.length > large.chunkTotal);
      writeFileSync(large.path('stream'), stdout);
      await lvmsyncOk(['--apply', large.path('stream'), large.target('target', large.base)]);
      assert.ok(sameContent(path, large.origin));
    }
  });

  test('when a snapback is kept then it leads back to the base', async () => {
    const path = large.target('target', large.base);
    const args = ['--skip-unchanged', '--snapback', large.path('undo'), ...rsh, `b:${path}`];
    await lvmsyncOk([...large.source, ...args]);
    assert.ok(sameContent(path, large.origin));
    await lvmsyncOk(['rollback', large.path('undo'), path]);
    assert.ok(sameContent(path, large.base));
  });
});

describe('what the store holds is not what the target holds', () => {
  const CHUNK_BYTES = 65536;

  /**
   * The snapshot was written, for example when its file system was mounted and its journal
   * replayed: the store holds the snapshot's data, and the origin has got the same since. It looks
   * unchanged, but the target holds what was before.
   */
  function writtenSnapshot(random: Random) {
    const originBytes = 8 * MIB;
    const base = random.bytes(originBytes);
    const origin = Buffer.from(base);
    const plan = planRandomStore(random, {
      chunkBytes: CHUNK_BYTES,
      originBytes,
      exceptionCount: 64,
      order: 'shuffled',
    });
    for (const [chunk] of plan.exceptions) {
      random.bytes(9000).copy(origin, chunk * CHUNK_BYTES + 5000);
    }
    const store = join(directory, 'written-store');
    writeStore(store, {
      ...plan,
      oldData: (chunk) => origin.subarray(chunk * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES),
    });
    writeFileSync(join(directory, 'written-origin'), origin);
    const source = ['--cow-device', store, '--data-source', join(directory, 'written-origin')];
    return { base, origin, source };
  }

  for (const options of [['--skip-unchanged'], []]) {
    const said = options[0] ?? 'nothing';
    test(`when the snapshot was written what the origin holds now, and ${said} is said, then the target becomes the origin`, async () => {
      const { base, origin, source } = writtenSnapshot(createRandom(5));
      const path = large.target('target', base);
      const args = [...source, '-v', '--no-verify-base', ...options, ...rsh, `b:${path}`];
      const { stderr } = await lvmsyncOk(args);
      assert.ok(sameContent(path, origin));
      assert.match(stderr, /^unchanged blocks: [1-9]\d* bytes .*, 0 were found on the target/m);
    });
  }

  test('when the target holds something else and the base is not checked then the changed chunks become right', async () => {
    const path = large.target('target', Buffer.alloc(large.base.length, 'something else'));
    const args = ['--skip-unchanged', '--no-verify-base', ...rsh, `b:${path}`];
    const { stderr } = await lvmsyncOk([...large.source, ...args]);
    assert.equal(sentBytes(stderr), large.chunkTotal);
    const written = readFileSync(path);
    for (const offset of large.changedOffsets) {
      const chunk = (image: Buffer) => image.subarray(offset, offset + CHUNK_BYTES);
      assert.ok(chunk(written).equals(chunk(large.origin)));
    }
  });

  /** For `-e`: what the sender sends behind `bytes` is lost, so often. */
  function breakingRsh(name: string, times: number, bytes: number): string[] {
    const path = join(directory, name);
    const program = `#!${process.execPath}
      const { spawn } = require('node:child_process');
      const { existsSync, readFileSync, writeFileSync } = require('node:fs');
      const used = existsSync('${path}') ? Number(readFileSync('${path}', 'utf8')) : 0;
      writeFileSync('${path}', String(used + 1));
      const env = { ...process.env, PATH: '${repositoryRoot}/bin:' + process.env.PATH };
      const far = spawn('sh', ['-c', process.argv.slice(3).join(' ')], {
        stdio: ['pipe', 'inherit', 'inherit'], env });
      let left = used < ${times} ? ${bytes} : Infinity;
      far.stdin.on('error', () => {});
      process.stdin.on('data', (chunk) => {
        if (left <= 0) return;
        far.stdin.write(chunk.subarray(0, Math.min(left, chunk.length)));
        left -= chunk.length;
        if (left <= 0) far.stdin.end();
      });
      process.stdin.on('end', () => far.stdin.end());
      far.on('close', (status) => process.exit(left <= 0 ? 255 : (status ?? 255)));`;
    writeFileSync(`${path}.cjs`, program);
    chmodSync(`${path}.cjs`, 0o755);
    return ['-e', `${path}.cjs`];
  }

  test('when a connection breaks then the run goes on and the target becomes the origin', async () => {
    const path = large.target('target', large.base);
    const way = breakingRsh('same-run', 2, 200_000);
    const args = [...large.source, '-v', '--skip-unchanged', ...way, `b:${path}`];
    const { stderr } = await lvmsyncOk(args);
    assert.match(stderr, /trying again in 2 s/);
    assert.ok(sameContent(path, large.origin));
  });

  test('when an earlier run sent what the origin has taken back since then the target gets it back too', async () => {
    const path = large.target('target', large.base);
    const way = breakingRsh('other-run', 1, 4 * MIB);
    const args = [...large.source, '-v', ...way, `b:${path}`];
    await lvmsyncFails([...args, '--retries', '0', '--no-skip-unchanged'], 7, /the stream ends/);
    const half = readFileSync(path);
    assert.ok(!half.equals(large.base) && !half.equals(large.origin));
    const originPath = join(directory, 'origin-1');
    // All is as it was: the store and the origin agree in every block, the target does not.
    writeFileSync(originPath, large.base);
    try {
      await lvmsyncOk([...args, '--skip-unchanged']);
      assert.ok(sameContent(path, large.base));
    } finally {
      writeFileSync(originPath, large.origin);
    }
  });
});
