import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertSameDevices, writeAt } from '../support/devices.js';
import { type Receiver, startReceiver } from '../support/hosts.js';
import { lvmsyncKilled } from '../support/interrupt.js';
import { kernelTests } from '../support/kernel.js';
import { createGroup, createVolume, removeGroup, removeVolumes } from '../support/lvm.js';
import { lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { listVolumes } from '../support/migration.js';
import { createRandom } from '../support/random.js';
import { ORIGIN_BYTES, prepareReplica, STATE } from '../support/replica.js';
import { createTargetGroup } from '../support/transfer.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const REFUSED = 3;

/** LVMSYNC_TEST_KILLS=50 for more. */
const KILLS = Number(process.env.LVMSYNC_TEST_KILLS ?? 3);
/** One run takes about so long here. */
const RUN_MS = 5000;

kernelTests(
  import.meta.url,
  { disks: ['192M', '64M'], timeoutSeconds: 1800 + 60 * KILLS },
  ([disk, receiverDisk]) => {
    let receiver: Receiver;
    before(async () => {
      await createGroup('near', [disk!], 64 * KIB);
      receiver = await startReceiver({ disks: [receiverDisk!] });
      await createTargetGroup(receiver, receiverDisk!);
    });
    after(async () => {
      await receiver.stop();
      await removeGroup('near');
    });

    test('when the snapshot that lists the changes overflows then the target is compared, and ends identical', async (context) => {
      const { origin, target, replicate, change } = await prepareReplica(
        context,
        receiver,
        'thick',
      );
      const small = replicate('--snapshot-size', '1M');
      await lvmsyncOk(small);
      writeAt(origin, 7, [{ offset: 2 * MIB, length: 3 * MIB }]);
      const { stderr } = await lvmsyncOk(small);
      assert.match(stderr, /^WARNING: snapshot \S+ overflowed: what has changed since/m);
      assert.match(stderr, /^Compared \d+ bytes: 3145728 bytes /m);
      await assertSameDevices(origin, target.path);
      await change(8);
      assert.doesNotMatch((await lvmsyncOk(small)).stderr, /Compar|Copying/);
      await assertSameDevices(origin, target.path);
    });

    test('when something else wrote to the target then it is refused, and --compare mends it', async (context) => {
      const { origin, target, replicate, change } = await prepareReplica(
        context,
        receiver,
        'thick',
      );
      await lvmsyncOk(replicate());
      await change(1);
      writeAt(target.path, 9, [{ offset: 0, length: ORIGIN_BYTES }]);
      await lvmsyncFails(replicate(), REFUSED, /^ {2}something else has written .*--compare/m);
      const { stderr } = await lvmsyncOk(replicate('--compare'));
      assert.match(stderr, /^Comparing /m);
      await assertSameDevices(origin, target.path);
    });

    test('when it is a dry run, or cannot be, then nothing is changed', async (context) => {
      const { target, replicate } = await prepareReplica(context, receiver, 'thick');
      const volumes = await listVolumes('near');
      const { stderr } = await lvmsyncOk(replicate('--dry-run', '--pre', 'sync'));
      assert.match(stderr, /^ {2}to send: the whole volume, but for zeroes$/m);
      assert.match(stderr, /^ {2}steps: "sync" here, a snapshot, the target switches$/m);
      await lvmsyncFails(replicate('near/origin'), 2, /no target given for/);
      await lvmsyncFails(
        replicate('near/origin', 'receiver:/dev/far/x'),
        2,
        /near\/origin is named twice/,
      );
      await lvmsyncFails(replicate('--pre', 'exit 4'), REFUSED, /"exit 4" failed: no snapshot/);
      assert.equal(await listVolumes('near'), volumes);
      const other = await createVolume('near', 'other', ORIGIN_BYTES);
      context.after(() => removeVolumes(other));
      await lvmsyncOk(replicate());
      await lvmsyncFails(
        ['replicate', '--state-dir', STATE, 'near/other', target.destination],
        REFUSED,
        /is the target of another replica: near\/origin/,
      );
    });

    test('when it is killed at seeded points and run again then it ends identical', async (context) => {
      const { origin, target, replicate, change } = await prepareReplica(
        context,
        receiver,
        'thick',
      );
      const random = createRandom(5);
      for (let kill = 0; kill < KILLS; kill++) {
        await change(100 + kill);
        await lvmsyncKilled(replicate('--keep', '2'), () => true, random.below(RUN_MS));
        if (kill % 2 === 1) continue;
        await lvmsyncOk(replicate('--keep', '2'));
        await assertSameDevices(origin, target.path);
        assert.equal((await listVolumes('near')).match(/_lvmsync_/g)?.length, 1);
      }
    });
  },
);
