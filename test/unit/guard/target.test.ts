import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { deviceId } from '#lvmsync/block/guard-devices.js';
import { assertTargetUsable, inspectTarget, lvmLayer } from '#lvmsync/block/target.js';
import { type ErrorCode, LvmsyncError } from '#lvmsync/errors.js';

const directory = mkdtempSync(join(tmpdir(), 'lvmsync-target-'));
after(() => rmSync(directory, { recursive: true, force: true }));

function file(name: string, bytes: number): string {
  const path = join(directory, name);
  writeFileSync(path, Buffer.alloc(bytes, 7));
  return path;
}

async function refusal(run: () => Promise<unknown>): Promise<LvmsyncError> {
  const error = await run().then(
    () => assert.fail('it was not refused'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof LvmsyncError);
  assert.ok(!error.message.includes('\n'));
  assert.ok(error.hint);
  return error;
}

async function refused(path: string, code: ErrorCode, message: RegExp): Promise<void> {
  for (const force of [false, true]) {
    const error = await refusal(async () =>
      assertTargetUsable(await inspectTarget(path), { force }),
    );
    assert.equal(error.code, code);
    assert.match(error.message, message);
  }
}

test('when the target is a regular file then it is usable, with its size', async () => {
  const path = file('plain', 12345);
  const target = await inspectTarget(path, { needBytes: 12345 });
  assert.deepEqual(target, { path, kind: 'file', sizeBytes: 12345, findings: [] });
  assert.deepEqual(assertTargetUsable(target, { force: false }), []);
});

test('when the target does not exist then the hint names lvcreate and the bytes needed', async () => {
  const path = join(directory, 'missing');
  await refused(path, 'TARGET_UNSUITABLE', /does not exist$/);
  const error = await refusal(() => inspectTarget(path, { needBytes: 4096 }));
  assert.match(error.hint ?? '', /lvcreate --size 4096b /);
});

test('when a directory of the path is a file then the errno is told', async () => {
  const path = join(file('not-a-directory', 1), 'x');
  await refused(path, 'TARGET_UNSUITABLE', /: not a directory \(ENOTDIR\)$/);
});

test('when the target is a directory then it is refused', async () => {
  await refused(directory, 'TARGET_UNSUITABLE', /is a directory$/);
});

test('when the target is a character device then it is refused', async () => {
  await refused('/dev/null', 'TARGET_UNSUITABLE', /\/dev\/null is a character device$/);
});

test('when the target is a named pipe then it is refused, not waited for', async () => {
  const path = join(directory, 'pipe');
  execFileSync('mkfifo', [path]);
  await refused(path, 'TARGET_UNSUITABLE', /is a named pipe$/);
});

test('when the target is a socket then it is refused', async () => {
  const path = join(directory, 'socket');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  try {
    await refused(path, 'TARGET_UNSUITABLE', /is a socket$/);
  } finally {
    server.close();
  }
});

test('when the target is a symbolic link to nothing then it does not exist', async () => {
  const path = join(directory, 'dangling');
  symlinkSync(join(directory, 'nowhere'), path);
  await refused(path, 'TARGET_UNSUITABLE', /does not exist$/);
});

test('when the target is smaller than needed then even force does not help', async () => {
  const target = await inspectTarget(file('small', 4095), { needBytes: 4096 });
  for (const force of [false, true]) {
    const error = await refusal(async () => assertTargetUsable(target, { force }));
    assert.equal(error.code, 'TARGET_TOO_SMALL');
    assert.match(error.message, /holds 4095 bytes, 4096 are needed$/);
  }
});

test('when the target is larger than needed then it is usable', async () => {
  const target = await inspectTarget(file('large', 4097), { needBytes: 4096 });
  assert.deepEqual(target.findings, []);
});

test('when the target is the source under a symbolic or hard link then force does not help', async () => {
  const source = file('source', 4096);
  const symbolic = join(directory, 'symbolic');
  const hard = join(directory, 'hard');
  symlinkSync(source, symbolic);
  linkSync(source, hard);
  const other = file('other', 4096);
  for (const path of [source, symbolic, hard]) {
    const target = await inspectTarget(path, { sourcePaths: [other, source] });
    const error = await refusal(async () => assertTargetUsable(target, { force: true }));
    assert.equal(error.code, 'TARGET_UNSUITABLE');
    assert.match(error.message, / is the source/);
  }
  assert.deepEqual((await inspectTarget(other, { sourcePaths: [source] })).findings, []);
});

test('when a source cannot be looked at then that is not for the target to say', async () => {
  const target = await inspectTarget(file('fine', 1), { sourcePaths: [join(directory, 'gone')] });
  assert.deepEqual(target.findings, []);
});

test('when the user may not write to the file then it is refused', async (context) => {
  if (process.getuid?.() !== 0) {
    const path = file('read-only', 1);
    chmodSync(path, 0o444);
    await refused(
      path,
      'TARGET_UNSUITABLE',
      /cannot be read and written: permission denied (EACCES)$/,
    );
    return;
  }
  // Root may write to anything but a read-only file system, so ask as another user.
  const place = join(directory, 'open');
  mkdirSync(place);
  chmodSync(directory, 0o755);
  const path = join(place, 'read-only');
  writeFileSync(path, 'x', { mode: 0o444 });
  context.diagnostic('asked as uid 65534');
  const asked = `
    import('#lvmsync/block/target.js').then(async ({ inspectTarget }) => {
      process.setgid(65534);
      process.setuid(65534);
      const { findings } = await inspectTarget(process.argv[1]);
      console.log(JSON.stringify(findings.map((f) => [f.error.code, f.error.message, f.overridable])));
    });`;
  const printed = execFileSync(process.execPath, ['-e', asked, path], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
  });
  assert.deepEqual(JSON.parse(printed), [
    ['TARGET_UNSUITABLE', `${path} cannot be read and written: permission denied (EACCES)`, false],
  ]);
});

test('when findings can be overridden then force returns them and no force throws the first', () => {
  const inUse = new LvmsyncError('TARGET_IN_USE', 'mounted');
  const internal = new LvmsyncError('TARGET_UNSUITABLE', 'internal');
  const findings = [internal, inUse].map((error) => ({ error, overridable: true }));
  const target = { path: '/dev/x', kind: 'block-device', sizeBytes: 1, findings } as const;
  assert.throws(() => assertTargetUsable(target, { force: false }), internal);
  assert.deepEqual(assertTargetUsable(target, { force: true }), [internal, inUse]);
});

test('when one finding is final then it is the one that is told', () => {
  const inUse = new LvmsyncError('TARGET_IN_USE', 'mounted');
  const tooSmall = new LvmsyncError('TARGET_TOO_SMALL', 'small');
  const target = {
    path: '/dev/x',
    kind: 'block-device',
    sizeBytes: 1,
    findings: [
      { error: inUse, overridable: true },
      { error: tooSmall, overridable: false },
    ],
  } as const;
  for (const force of [false, true]) {
    assert.throws(() => assertTargetUsable(target, { force }), tooSmall);
  }
});

test('when a dm uuid ends with a layer then it is internal to LVM', () => {
  const ids = 'NdZ8mHpzoCYEDMJHpXJ2ATBCxXkMVgQEd1NQ0WbhTcmBi3DmE8CqBPvSCQwBMKzv';
  assert.equal(lvmLayer(`LVM-${ids}`), undefined);
  for (const layer of ['cow', 'real', 'pool', 'tpool', 'tdata', 'tmeta', 'cvol']) {
    assert.equal(lvmLayer(`LVM-${ids}-${layer}`), layer);
  }
  assert.equal(lvmLayer('CRYPT-LUKS2-0123456789abcdef0123456789abcdef-name-cow'), undefined);
  assert.equal(lvmLayer(undefined), undefined);
});

test('when a device number has a large major or minor then both come out whole', () => {
  assert.equal(deviceId(0x0811n), '8:17');
  assert.equal(deviceId(0xfd00n), '253:0');
  // makedev(3): minor bits 8 to 19 lie above the 12 bits of the major.
  assert.equal(deviceId((0x12345n << 20n) | 0xfd67n), `253:${0x1234567}`);
  assert.equal(deviceId((0x1000n << 32n) | 0x0811n), `${0x1008}:17`);
});
