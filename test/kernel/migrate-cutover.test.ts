import assert from 'node:assert/strict';
import { closeSync, mkdirSync, openSync, readdirSync } from 'node:fs';
import { after, before, type TestContext, test } from 'node:test';
import { mustRun, runCommand } from '../support/command.js';
import { assertSameDevices, writeAt } from '../support/devices.js';
import { type Receiver, startReceiver } from '../support/hosts.js';
import { kernelTests } from '../support/kernel.js';
import { createGroup, createVolume, removeGroup, removeVolumes } from '../support/lvm.js';
import { lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import {
  assertNoSnapshots,
  createBlankTarget,
  listVolumes,
  migrateWith,
  useBareVolume,
} from '../support/migration.js';
import { createTargetGroup, removeTarget } from '../support/transfer.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const REFUSED = 3;
const CHANGED = 7;
const ORIGIN_BYTES = 12 * MIB;
const STATE = '/run/state';
const MOUNT = '/run/origin';

kernelTests(import.meta.url, { disks: ['96M', '64M'] }, ([disk, receiverDisk]) => {
  let receiver: Receiver;
  before(async () => {
    await createGroup('near', [disk!], 64 * KIB);
    receiver = await startReceiver({ disks: [receiverDisk!] });
    await createTargetGroup(receiver, receiverDisk!);
    mkdirSync(MOUNT, { recursive: true });
  });
  after(async () => {
    await receiver.stop();
    await removeGroup('near');
  });

  async function prepare(context: TestContext) {
    const origin = await createVolume('near', 'origin', ORIGIN_BYTES, 1);
    const target = await createBlankTarget(receiver, ORIGIN_BYTES);
    context.after(async () => {
      await runCommand('umount', [MOUNT]);
      await lvmsyncOk(['migrate', '--state-dir', STATE, '--abort', 'near/origin']);
      await removeTarget(receiver, target);
      await removeVolumes(origin);
    });
    const migrate = (...options: string[]) => [
      ...['migrate', '--state-dir', STATE, '--rounds', '0', ...options],
      ...['near/origin', target.destination],
    ];
    return { origin, target, migrate };
  }

  async function mountOrigin(origin: string): Promise<void> {
    await mustRun('mkfs.ext4', ['-q', '-F', origin]);
    await mustRun('mount', [origin, MOUNT]);
  }

  for (const [how, stop] of [
    ['mounted read-only', `mount -o remount,ro ${MOUNT}`],
    ['frozen', `fsfreeze --freeze ${MOUNT}`],
  ] as const) {
    test(`when the origin is ${how} then it counts as at rest`, async (context) => {
      const { origin, target, migrate } = await prepare(context);
      await mountOrigin(origin);
      await lvmsyncOk(migrate('--before-cutover', `echo x >${MOUNT}/last; ${stop}`));
      if (how === 'frozen') await mustRun('fsfreeze', ['--unfreeze', MOUNT]);
      else await assertSameDevices(origin, target.path);
      await receiver.mustRun('mount', ['-o', 'ro', target.remotePath, '/mnt']);
      assert.equal(await receiver.mustRun('cat', ['/mnt/last']), 'x');
      await receiver.mustRun('umount', ['/mnt']);
      await receiver.mustRun('e2fsck', ['-f', '-n', target.remotePath]);
    });
  }

  test('when the origin is mounted and writable then it is refused, and still writable', async (context) => {
    const { origin, migrate } = await prepare(context);
    await mountOrigin(origin);
    const why = /^FATAL ERROR: near\/origin is mounted on \/run\/origin: no cut-over/m;
    await lvmsyncFails(migrate(), REFUSED, why);
    await mustRun('sh', ['-c', `echo x >${MOUNT}/file; sync ${MOUNT}/file`]);
  });

  test('when a process has the origin open then it is refused, and done once it is closed', async (context) => {
    const { origin, target, migrate } = await prepare(context);
    const fd = openSync(origin, 'r+');
    const why = /^FATAL ERROR: near\/origin is open in one place: no cut-over/m;
    await lvmsyncFails(migrate(), REFUSED, why).finally(() => closeSync(fd));
    // A migration's receivers are brought along as any other.
    await lvmsyncOk(migrate('--bootstrap'));
    await assertSameDevices(origin, target.path);
  });

  test('when the origin is written during the cut-over then it fails, also in a chunk that is on the list', async (context) => {
    const { origin, target, migrate } = await prepare(context);
    const burst = { offset: 2 * MIB, length: 2 * MIB };
    let inCutover = false;
    let written = false;
    const { status, stderr } = await migrateWith(
      migrate('-v', '--before-cutover', 'true'),
      (line) => {
        if (line.startsWith('Copied')) writeAt(origin, 5, [burst]);
        inCutover ||= line.startsWith('Running here');
        if (!inCutover || written || !line.startsWith('base: ')) return;
        written = true;
        writeAt(origin, 6, [{ ...burst, length: 4 * KIB }]);
      },
    );
    assert.equal(status, CHANGED, stderr);
    assert.match(
      stderr,
      /^FATAL ERROR: near\/origin was written while its last changes were sent$/m,
    );
    await lvmsyncOk(migrate());
    await assertSameDevices(origin, target.path);
  });

  for (const [what, offset] of [
    ['changed', 2 * MIB],
    ['sample', 11 * MIB],
    ['full', 11 * MIB],
  ] as const) {
    test(`when the target is not what was sent then comparing it (${what}) finds that, and the next run repairs it`, async (context) => {
      const { origin, target, migrate } = await prepare(context);
      let inCutover = false;
      const { status, stderr } = await migrateWith(
        migrate('-v', '--before-cutover', 'true', '--verify', what),
        (line) => {
          if (line.startsWith('Copied')) {
            writeAt(origin, 5, [{ offset: 2 * MIB, length: 64 * KIB }]);
          }
          inCutover ||= line.startsWith('Running here');
          if (!inCutover || !line.startsWith('applied ')) return;
          writeAt(target.path, 6, [{ offset, length: 4 * KIB }]);
        },
      );
      assert.equal(status, CHANGED, stderr);
      assert.match(stderr, /^FATAL ERROR: 4096 bytes of the target differ from near\/origin/m);
      const again = await lvmsyncOk(migrate());
      assert.match(again.stderr, /^Comparing near\/origin whole/m);
      assert.match(again.stderr, /^Copied 4096 bytes/m);
      await assertSameDevices(origin, target.path);
    });
  }

  test('when the command after the cut-over fails then the next run only runs it again', async (context) => {
    const { origin, target, migrate } = await prepare(context);
    const failing = migrate('--after-cutover', 'cat /run/not-there');
    const why = /^FATAL ERROR: the command "cat \/run\/not-there" .* status 1 on ssh \S*receiver$/m;
    const { stderr } = await lvmsyncFails(failing, REFUSED, why);
    assert.match(stderr, /^cat: .*not-there/m);
    const again = await lvmsyncOk(migrate('--after-cutover', 'echo "started on $(hostname)"'));
    assert.match(again.stderr, /^started on receiver$/m);
    assert.match(again.stderr, /^The last changes .* nothing is sent again$/m);
    assert.doesNotMatch(again.stderr, /^Cop|^Last/m);
    await assertSameDevices(origin, target.path);
    await assertNoSnapshots('near');
    assert.deepEqual(readdirSync(STATE), []);
  });

  test('when the origin was written after all had been delivered then the next run says so', async (context) => {
    const { origin, migrate } = await prepare(context);
    await lvmsyncFails(migrate('--after-cutover', 'false'), REFUSED, /ended with exit status 1/);
    writeAt(origin, 9, [{ offset: 9 * MIB, length: 4 * KIB }]);
    await lvmsyncFails(
      migrate(),
      CHANGED,
      /^FATAL ERROR: near\/origin was written after its last/m,
    );
  });

  test('when the rounds do not get shorter then it stops, or cuts over where that is said', async (context) => {
    const { origin, target } = await prepare(context);
    const volume = await useBareVolume(origin, 3);

    const endless = ['migrate', '--state-dir', STATE, '--max-downtime', '0'];
    endless.push('--before-cutover', volume.stop, 'near/origin', target.destination);
    const { stderr } = await lvmsyncFails(
      endless,
      REFUSED,
      /^FATAL ERROR: the rounds do not get shorter/m,
    );
    assert.match(stderr, /^Round 2: /m);
    assert.match(stderr, /--on-stall cutover/);
    await lvmsyncOk([...endless, '--on-stall', 'cutover']);
    await assertSameDevices(origin, target.path);
    assert.ok((await volume.check(target.path)) > 10);
  });

  test('when a migration is under way then another destination is refused, and so is what is no origin', async (context) => {
    const { migrate } = await prepare(context);
    await lvmsyncFails(migrate('--before-cutover', 'false'), REFUSED, /no cut-over/);
    const volumes = await listVolumes('near');
    const snapshot = /near\/(\S+_lvmsync_\S+)/.exec(volumes.replaceAll(/^ +/gm, 'near/'))![1]!;
    const to = (origin: string) => ['migrate', '--state-dir', STATE, origin, 'receiver:/dev/far/x'];
    await lvmsyncFails(
      to('near/origin'),
      REFUSED,
      /is being migrated to receiver:\/dev\/far\/target/,
    );
    await lvmsyncFails(to(`near/${snapshot}`), REFUSED, /is a snapshot \(lvs calls it s/);
    assert.equal(await listVolumes('near'), volumes);
  });

  test('when the target is too small, mounted or not there then nothing is changed', async (context) => {
    const { migrate } = await prepare(context);
    const volumes = await listVolumes('near');
    const to = (path: string) => [...migrate().slice(0, -1), `receiver:${path}`];
    await receiver.mustRun('lvcreate', ['--quiet', '-y', '-L', '8m', '-n', 'small', 'far']);
    context.after(() => receiver.mustRun('lvremove', ['--quiet', '-f', 'far/small']));
    await lvmsyncFails(to('/dev/far/small'), REFUSED, /^FATAL ERROR: .*8388608 bytes/m);
    await lvmsyncFails(to('/dev/far/none'), REFUSED, /^FATAL ERROR: .*does not exist/m);
    assert.equal(await listVolumes('near'), volumes);
    assert.deepEqual(readdirSync(STATE), []);
  });
});
