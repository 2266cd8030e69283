import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { mustRun } from '../support/command.js';
import { assertSameDevices, copyDevice, fillDevice, writeAt } from '../support/devices.js';
import { kernelTests } from '../support/kernel.js';
import {
  createGroup,
  createPool,
  createThinSnapshot,
  createThinVolume,
  createVolume,
  poolStatus,
  removeGroup,
  removeVolumes,
} from '../support/lvm.js';
import { lvmsync, lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { lvmsyncPath } from '../support/repository.js';
import { discardAt } from '../support/thin-changes.js';
import { deviceDigest } from '../support/transfer.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const REFUSED = 3;
const INTEGRITY = 7;
const INTERRUPTED = 8;
const BYTES = 8 * MIB;
const FAKE_TOOLS = '/run/fake-tools';

kernelTests(import.meta.url, { disks: ['192M'] }, ([disk]) => {
  let target: string;
  before(async () => {
    await createGroup('near', [disk!], 64 * KIB);
    target = await createVolume('near', 'target', BYTES);
    mkdirSync(FAKE_TOOLS);
  });
  after(() => removeGroup('near'));

  /** A thin origin with a snapshot and one change since, and a local target that holds the snapshot. */
  async function prepare(context: TestContext, poolBytes = 48 * MIB) {
    await createPool('near', 'pool', poolBytes, 64 * KIB);
    context.after(() => removeVolumes('near/pool'));
    const origin = await createThinVolume('near', 'pool', 'origin', BYTES);
    await fillDevice(origin, 1);
    const snapshot = await createThinSnapshot('near', 'origin', 'before');
    await copyDevice(snapshot, target);
    writeAt(origin, 2, [{ offset: MIB, length: 4 * KIB }]);
    return { origin, snapshot };
  }

  const message = (text: string) => new RegExp(`^FATAL ERROR: .*${text}`, 'm');

  /** Expects a refusal, an untouched target, and no metadata snapshot. */
  async function refused(args: string[], text: string, status = REFUSED, env = {}) {
    const before = await deviceDigest(target);
    const result = await lvmsyncFails([...args, target], status, message(text), { env });
    assert.equal(await deviceDigest(target), before, 'the target was written');
    return result;
  }

  async function heldRoot(): Promise<string> {
    return (await poolStatus('near', 'pool')).heldRoot;
  }

  function tellPool(words: string): Promise<string> {
    return mustRun('dmsetup', ['message', 'near-pool-tpool', '0', words]);
  }

  /** An environment in which `thin_delta` is a script; `$REAL` is the real one. */
  function fakeThinDelta(context: TestContext, script: string) {
    const path = `${FAKE_TOOLS}/thin_delta`;
    const version = 'case $1 in --version) exec $REAL --version;; esac';
    writeFileSync(path, `#!/bin/sh\nREAL=/usr/sbin/thin_delta\n${version}\n${script}\n`);
    chmodSync(path, 0o755);
    context.after(() => rmSync(path, { force: true }));
    return { PATH: `${FAKE_TOOLS}:${process.env.PATH}` };
  }

  test('when a volume has an external origin, no snapshot, or another pool then it is refused with the reason', async (context) => {
    const { origin, snapshot } = await prepare(context);
    const plain = await createVolume('near', 'plain', BYTES, 3);
    await mustRun('lvchange', ['--quiet', '-an', plain]);
    await mustRun('lvchange', ['--quiet', '-pr', plain]);
    const outside = ['--thinpool', 'near/pool', '-kn', '-n', 'outside', 'near/plain'];
    await mustRun('lvcreate', ['--quiet', '-s', ...outside]);
    await mustRun('lvcreate', ['--quiet', '-s', '-kn', '-n', 'inside', 'near/outside']);
    await refused(['near/outside'], 'has an external origin');
    await refused(['near/inside'], 'has an external origin');
    await refused([snapshot, '--data-source', 'near/inside'], 'has an external origin');
    await removeVolumes('near/inside', 'near/outside', 'near/plain');

    const older = await createThinSnapshot('near', 'origin', 'later');
    await refused([snapshot, '--data-source', snapshot], 'is near/before itself');
    await refused([snapshot, '--data-source', origin], 'is the origin');
    await refused([older, '--data-source', snapshot], 'was taken before near/later');
    await refused([snapshot, '--data-source', disk!], 'is not a thin volume');
    await createThinVolume('near', 'pool', 'alone', BYTES);
    await refused(['near/alone'], 'is a thin volume without an origin');
    await refused([snapshot, '--data-source', 'near/alone'], 'not known to be a snapshot');
    await lvmsyncOk([snapshot, '--data-source', 'near/alone', '--force', target]);
    await assertSameDevices('/dev/near/alone', target);

    await createPool('near', 'other', 16 * MIB, 64 * KIB);
    await createThinVolume('near', 'other', 'elsewhere', BYTES);
    await refused([snapshot, '--data-source', 'near/elsewhere'], 'is in another pool');
    await refused([snapshot, '--data-source', 'near/elsewhere', '--force'], 'is in another pool');
    await removeVolumes('near/other');

    await mustRun('lvresize', ['--quiet', '-L', '9m', 'near/origin']);
    await refused([snapshot], 'was resized');
    await mustRun('lvchange', ['--quiet', '-an', 'near/before']);
    const inactive = await refused(['near/before'], 'near/before is not active');
    assert.match(inactive.stderr, /lvchange -ay -K near\/before/);
    assert.equal(await heldRoot(), '-');
  });

  test('when thin_delta is missing, or leaves changes out, then its package is named or another asked for', async (context) => {
    const { snapshot } = await prepare(context);
    const [path, hidden] = ['/usr/sbin/thin_delta', '/usr/sbin/thin_delta.hidden'];
    renameSync(path, hidden); // in the guest only
    const missing = await refused([snapshot], 'the program thin_delta is not there').finally(() =>
      renameSync(hidden, path),
    );
    assert.match(missing.stderr, /apt install thin-provisioning-tools/);
    const env = fakeThinDelta(context, 'exit 1');
    writeFileSync(`${FAKE_TOOLS}/thin_delta`, '#!/bin/sh\necho thin_delta 1.0.4\n');
    await refused([snapshot], '1\\.0\\.4, which leaves changes out', REFUSED, env);
  });

  test('when blocks of the snapshot itself were discarded then it is refused', async (context) => {
    const { origin, snapshot } = await prepare(context);
    await discardAt(origin, { offset: 2 * MIB, length: MIB });
    await discardAt(snapshot, { offset: 2 * MIB, length: MIB });
    await refused([snapshot], 'near/before itself had blocks discarded');
  });

  test('when the pool is out of space then it is refused', async (context) => {
    const { snapshot } = await prepare(context, 12 * MIB);
    await mustRun('lvchange', ['--quiet', '--errorwhenfull', 'y', 'near/pool']);
    await assert.rejects(fillDevice('/dev/near/origin', 4));
    assert.equal((await poolStatus('near', 'pool')).mode, 'out_of_data_space');
    await refused([snapshot], 'has run out of space for data', INTEGRITY);
  });

  test('when somebody else holds the metadata snapshot then it is refused and stays', async (context) => {
    const { origin, snapshot } = await prepare(context);
    await tellPool('reserve_metadata_snap');
    const root = await heldRoot();
    const result = await refused([snapshot], 'somebody else holds the metadata snapshot');
    assert.match(result.stderr, /dmsetup message \S+ 0 release_metadata_snap/);
    assert.equal(await heldRoot(), root);
    await tellPool('release_metadata_snap');
    await lvmsyncOk([snapshot, target]);
    await assertSameDevices(origin, target);
  });

  test('when thin_delta fails, or prints nonsense, then the metadata snapshot is released', async (context) => {
    const { snapshot } = await prepare(context);
    for (const [script, text] of [
      ['echo broken >&2; exit 1', 'thin_delta failed: broken'],
      ['echo nonsense', 'thin_delta printed what lvmsync cannot read'],
      ['kill -9 $$', 'thin_delta was killed'],
    ] as const) {
      await refused([snapshot], text, REFUSED, fakeThinDelta(context, script));
      assert.equal(await heldRoot(), '-', text);
    }
  });

  /** Starts a run and resolves when its thin_delta is running, which takes until `go` is there. */
  async function startHeld(context: TestContext, snapshot: string) {
    const [started, go] = ['/run/started', '/run/go'];
    rmSync(started, { force: true });
    rmSync(go, { force: true });
    const wait = `touch ${started}; while [ ! -e ${go} ]; do sleep 0.05; done`;
    const env = fakeThinDelta(context, `${wait}\nexec $REAL "$@"`);
    const run = spawn(process.execPath, [lvmsyncPath, snapshot, target], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const ended = new Promise<number | null>((resolve) => run.on('close', resolve));
    while (!existsSync(started)) await sleep(20);
    assert.notEqual(await heldRoot(), '-');
    return { run, ended, go: () => writeFileSync(go, '') };
  }

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    test(`when ${signal} comes while thin_delta runs then the metadata snapshot is released`, async (context) => {
      const { snapshot } = await prepare(context);
      const { run, ended } = await startHeld(context, snapshot);
      run.kill(signal);
      assert.equal(await ended, INTERRUPTED);
      assert.equal(await heldRoot(), '-');
    });
  }

  test('when a run was killed while thin_delta ran then the next one releases what it left', async (context) => {
    const { origin, snapshot } = await prepare(context);
    const { run, ended, go } = await startHeld(context, snapshot);
    run.kill('SIGKILL');
    await ended;
    go();
    assert.notEqual(await heldRoot(), '-', 'nothing was left');
    const { stderr } = await lvmsyncOk([snapshot, target]);
    assert.match(
      stderr,
      /releasing the metadata snapshot of \S+ that a killed run of lvmsync has left/,
    );
    assert.equal(await heldRoot(), '-');
    await assertSameDevices(origin, target);
  });

  test('when a run was killed and somebody else has taken the metadata snapshot since then it stays', async (context) => {
    const { snapshot } = await prepare(context);
    const { run, ended, go } = await startHeld(context, snapshot);
    run.kill('SIGKILL');
    await ended;
    go();
    const noted = await heldRoot();
    await tellPool('release_metadata_snap');
    await createThinSnapshot('near', 'origin', 'meanwhile');
    await tellPool('reserve_metadata_snap');
    await refused([snapshot], 'somebody else holds the metadata snapshot');
    assert.notEqual(await heldRoot(), '-', `the note was for ${noted}`);
    await tellPool('release_metadata_snap');
  });

  test('when two runs want the metadata snapshot of one pool then one waits for the other', async (context) => {
    const { origin, snapshot } = await prepare(context);
    const second = await createThinVolume('near', 'pool', 'second', BYTES);
    const secondSnapshot = await createThinSnapshot('near', 'second', 'second-before');
    writeAt(second, 5, [{ offset: 3 * MIB, length: MIB }]);
    const secondTarget = await createVolume('near', 'second-target', BYTES, 6);
    context.after(() => removeVolumes(secondTarget));
    await copyDevice(secondSnapshot, secondTarget);

    const { ended, go } = await startHeld(context, snapshot);
    const waiting = lvmsync([secondSnapshot, secondTarget]);
    await sleep(1500);
    go();
    assert.equal(await ended, 0);
    const { status, stderr } = await waiting;
    assert.equal(status, 0, stderr);
    await assertSameDevices(origin, target);
    await assertSameDevices(second, secondTarget);
    assert.equal(await heldRoot(), '-');
  });

  /** Sends to a receiver that waits, does something `meanwhile`, and lets it go on. */
  async function sendMeanwhile(args: string[], meanwhile: () => unknown) {
    const [slow, started, go] = ['/run/slow-lvmsync', '/run/started', '/run/go'];
    rmSync(started, { force: true });
    rmSync(go, { force: true });
    const wait = `touch ${started}; while [ ! -e ${go} ]; do sleep 0.05; done`;
    // For -e: what follows the host is the command.
    writeFileSync(
      slow,
      `#!/bin/sh\n${wait}\nshift\nexec sh -c "PATH=${process.cwd()}/bin:$PATH; $*"\n`,
    );
    chmodSync(slow, 0o755);
    const run = lvmsync(['-e', slow, ...args, `there:${target}`]);
    while (!existsSync(started)) await sleep(20);
    await meanwhile();
    writeFileSync(go, '');
    return run;
  }

  test('when the origin is written during the run then the run fails, even where it had changed before', async (context) => {
    const { origin, snapshot } = await prepare(context);
    const changes = [
      () => writeAt(origin, 7, [{ offset: MIB, length: 4 * KIB }]),
      () => writeAt(origin, 8, [{ offset: 5 * MIB, length: 4 * KIB }]),
      () => discardAt(origin, { offset: 6 * MIB, length: 64 * KIB }),
    ];
    for (const change of changes) {
      const { status, stderr } = await sendMeanwhile([snapshot], change);
      assert.equal(status, INTEGRITY, stderr);
      assert.match(stderr, message('near/origin was written during the run'));
    }
    // The list has grown, and what the target holds may be neither old nor new.
    await lvmsyncOk([snapshot, target]);
    await assertSameDevices(origin, target);
  });

  test('when only the origin is written and the data comes from a later snapshot then the run succeeds', async (context) => {
    const { origin, snapshot } = await prepare(context);
    const later = await createThinSnapshot('near', 'origin', 'later');
    const { status, stderr } = await sendMeanwhile([snapshot, '--data-source', later], () =>
      fillDevice(origin, 9),
    );
    assert.equal(status, 0, stderr);
    await assertSameDevices(later, target);
  });

  test('when the pool runs out of space during the run then the run fails', async (context) => {
    const { snapshot } = await prepare(context, 12 * MIB);
    await mustRun('lvchange', ['--quiet', '--errorwhenfull', 'y', 'near/pool']);
    const other = await createThinVolume('near', 'pool', 'other', BYTES);
    const { status, stderr } = await sendMeanwhile([snapshot], () =>
      assert.rejects(fillDevice(other, 10)),
    );
    assert.equal(status, INTEGRITY, stderr);
    assert.match(stderr, message('has run out of space for data'));
  });
});
