import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { assertSameDevices } from '../support/devices.js';
import { type Receiver, startReceiver } from '../support/hosts.js';
import { kernelTests } from '../support/kernel.js';
import { createGroup, removeGroup } from '../support/lvm.js';
import { lvmsyncOk } from '../support/lvmsync.js';
import { listVolumes } from '../support/migration.js';
import { createRandom } from '../support/random.js';
import { prepareReplica, STATE } from '../support/replica.js';
import { lvmsyncPath } from '../support/repository.js';
import { createTargetGroup, deviceDigest } from '../support/transfer.js';

const KIB = 1024;

/** Runs for each kind of volume: LVMSYNC_TEST_CYCLES=20 for more. */
const CYCLES = Number(process.env.LVMSYNC_TEST_CYCLES ?? 4);

kernelTests(
  import.meta.url,
  { disks: ['192M', '64M'], timeoutSeconds: 1800 + 60 * CYCLES },
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

    for (const kind of ['thick', 'thin'] as const) {
      test(`when a ${kind} volume is replicated again and again then the target follows, and can be rolled back to earlier states`, async (context) => {
        const { origin, target, replicate, change } = await prepareReplica(context, receiver, kind);
        const volumes = await listVolumes('near');
        const states: { at: string; digest: string }[] = [];
        for (let cycle = 0; cycle < CYCLES; cycle++) {
          await change(cycle);
          const { stderr } = await lvmsyncOk(replicate('--keep', String(CYCLES)));
          assert.equal(/^Copying/m.test(stderr), cycle === 0, stderr);
          assert.doesNotMatch(stderr, /Comparing|WARNING/);
          const [, at] = /^Replicated: .* holds the state of (\S+), flushed$/m.exec(stderr) ?? [];
          await assertSameDevices(origin, target.path);
          states.push({ at: at!, digest: await deviceDigest(origin) });
        }
        assert.equal((await listVolumes('near')).match(/_lvmsync_/g)?.length, 1);

        const random = createRandom(CYCLES);
        const third = Math.floor((CYCLES - 1) / 3);
        for (const part of [2, 1, 0]) {
          const { at, digest } = states[part * third + random.below(third)]!;
          const rollback = [lvmsyncPath, 'rollback', '--to', at, target.remotePath];
          await receiver.mustRun(process.execPath, rollback);
          assert.equal(await deviceDigest(target.path), digest, `the state of ${at}`);
        }

        await change(CYCLES);
        const { stderr } = await lvmsyncOk(replicate('--keep', '3'));
        assert.match(stderr, /^WARNING: .* holds the state of .*is compared/m);
        assert.match(stderr, /^Comparing .* whole/m);
        await assertSameDevices(origin, target.path);

        await lvmsyncOk(replicate('--remove'));
        assert.equal(await listVolumes('near'), volumes);
        assert.deepEqual(readdirSync(STATE), []);
      });
    }
  },
);
