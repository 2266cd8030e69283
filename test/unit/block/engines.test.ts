import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { loadEngine } from '#lvmsync/block/engines.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

test('when the addon is built then auto takes it and has nothing to say', () => {
  const { engine, note } = loadEngine('auto');
  assert.deepEqual([engine.name, note], ['native', undefined]);
});

test('when an engine is named then it is the one', () => {
  for (const name of ['native', 'js'] as const) {
    const { engine, note } = loadEngine(name);
    assert.deepEqual([engine.name, note], [name, undefined]);
  }
});

test('when threads are asked for then the native engine works with threads', (context) => {
  assert.equal(loadEngine('native', { io: 'threads' }).engine.backend, 'threads');
  assert.equal(loadEngine('js').engine.backend, undefined);
  process.env.LVMSYNC_IO = 'threads';
  context.after(() => delete process.env.LVMSYNC_IO);
  assert.equal(loadEngine('auto').engine.backend, 'threads');
  process.env.LVMSYNC_IO = 'magic';
  assert.throws(() => loadEngine('auto'), { code: 'USAGE', message: 'LVMSYNC_IO is "magic"' });
});

test('when SSH is left to ssh2 then the native engine does not encrypt it', (context) => {
  assert.ok(loadEngine('native').engine.createSshSealer);
  assert.equal(loadEngine('native', { sshCipher: 'ssh2' }).engine.createSshSealer, undefined);
  context.after(() => delete process.env.LVMSYNC_SSH_CIPHER);
  process.env.LVMSYNC_SSH_CIPHER = 'ssh2';
  assert.equal(loadEngine('auto').engine.createSshSealer, undefined);
  process.env.LVMSYNC_SSH_CIPHER = 'rot13';
  assert.throws(() => loadEngine('auto'), {
    code: 'USAGE',
    message: 'LVMSYNC_SSH_CIPHER is "rot13"',
    hint: 'set it to one of auto, ssh2, or unset it',
  });
});

test('when io_uring is asked for then the native engine works with it', (context) => {
  if (loadEngine('native').engine.backend !== 'io_uring') {
    assert.throws(() => loadEngine('native', { io: 'io_uring' }), { code: 'ENGINE_UNAVAILABLE' });
    context.skip('this kernel, or the container, has no io_uring');
    return;
  }
  assert.equal(loadEngine('native', { io: 'io_uring' }).engine.backend, 'io_uring');
});

test('when the kernel refuses io_uring then auto works with threads, and io_uring is an error', (context) => {
  if (spawnSync('strace', ['-V']).status !== 0) {
    context.skip('there is no strace to refuse system calls with');
    return;
  }
  const program = `
    const { loadEngine } = await import('#lvmsync/block/engines.js');
    const { engine, note } = loadEngine('auto');
    console.log(engine.backend + ', ' + note);
    try { loadEngine('native', { io: 'io_uring' }) } catch (error) { console.log(error.message) }`;
  for (const [call, refusal, message] of [
    ['io_uring_setup', 'EPERM', 'operation not permitted (EPERM)'],
    ['io_uring_setup', 'ENOMEM', 'not enough memory (ENOMEM)'],
    ['io_uring_register', 'EINVAL', 'function not implemented (ENOSYS)'],
  ]) {
    const { stdout } = spawnSync(
      'strace',
      [
        ...['-f', '-qq', '-o', '/dev/null', '-e', `trace=${call}`],
        ...['-e', `inject=${call}:error=${refusal}`],
        ...[process.execPath, '--input-type=module', '-e', program],
      ],
      { cwd: ROOT, encoding: 'utf8' },
    );
    assert.deepEqual(stdout.trim().split('\n'), [
      `threads, no io_uring here: ${message}`,
      `the native engine is not available: no io_uring here: ${message}`,
    ]);
  }
});

test('when there is no addon then auto takes js and says why, and native is an error', async (context) => {
  const directory = await mkdtemp(join(tmpdir(), 'lvmsync-engines-'));
  context.after(() => rm(directory, { recursive: true }));
  await cp(join(ROOT, 'dist'), join(directory, 'dist'), { recursive: true });
  await cp(join(ROOT, 'package.json'), join(directory, 'package.json'));
  await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  const copy: { loadEngine: typeof loadEngine } = await import(
    pathToFileURL(join(directory, 'dist/block/engines.js')).href
  );

  const { engine, note } = copy.loadEngine('auto');
  assert.equal(engine.name, 'js');
  assert.match(
    note ?? '',
    /^the native engine is not available: No native build was found [^\n]+$/,
  );
  assert.throws(() => copy.loadEngine('native'), {
    name: 'LvmsyncError',
    code: 'ENGINE_UNAVAILABLE',
    hint: /docs\/install\.md/,
  });
});

test('when limits are given then the engines keep them, and one out of its range is refused', () => {
  for (const name of ['native', 'js'] as const) {
    const { limits } = loadEngine(name).engine;
    assert.deepEqual(limits, { queueDepth: 128, bufferMemoryBytes: 49 << 20 });
    const wanted = { queueDepth: 1024, bufferMemoryBytes: 9 << 20 };
    assert.deepEqual(loadEngine(name, wanted).engine.limits, wanted);
    for (const wrong of [
      { queueDepth: 0 },
      { queueDepth: 1025 },
      { queueDepth: 1.5 },
      { queueDepth: Number.NaN },
      { bufferMemoryBytes: (9 << 20) - 1 },
      { bufferMemoryBytes: (256 << 20) + 1 },
    ]) {
      assert.throws(() => loadEngine(name, wrong), { code: 'USAGE' });
    }
  }
});
