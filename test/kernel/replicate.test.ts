import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, type TestContext, test } from 'node:test';
import { assertSameDevices, seededWrites, writeAt } from '../support/devices.js';
import { type Receiver, startReceiver } from '../support/hosts.js';
import { lvmsyncKilled } from '../support/interrupt.js';
import { kernelTests } from '../support/kernel.js';
import {
  createGroup,
  createPool,
  createThinVolume,
  createVolume,
  removeGroup,
  removeVolumes,
} from '../support/lvm.js';
import { lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { createBlankTarget, listVolumes } from '../support/migration.js';
import { createRandom } from '../support/random.js';
import { lvmsyncPath } from '../support/repository.js';
import { changeThin } from '../support/thin-changes.js';
import { createTargetGroup, deviceDigest, removeTarget } from '../support/transfer.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const REFUSED = 3;
const ORIGIN_BYTES = 16 * MIB;
const STATE = '/run/state';

/** Runs for each kind of volume, and kills: LVMSYNC_TEST_CYCLES=20 LVMSYNC_TEST_KILLS=50. */
const CYCLES = Number(process.env.LVMSYNC_TEST_CYCLES ?? 5);
const KILLS = Number(process.env.LVMSYNC_TEST_KILLS ?? 4);
/** One run takes about so long here. */
const RUN_MS = 5000;

kernelTests(
  import.meta.url,
  { disks: ['192M', '64M'], timeoutSeconds: 600 + 20 * (2 * CYCLES + KILLS) },
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

    async function prepare(context: TestContext, kind: 'thick' | 'thin') {
      if (kind === 'thin') await createPool('near', 'pool', 64 * MIB, 64 * KIB);
      const origin =
        kind === 'thin'
          ? await createThinVolume('near', 'pool', 'origin', ORIGIN_BYTES)
          : await createVolume('near', 'origin', ORIGIN_BYTES, 1);
      const target = await createBlankTarget(receiver, ORIGIN_BYTES);
      const pair = ['near/origin', target.destination];
      context.after(async () => {
        await lvmsyncOk(['replicate', '--state-dir', STATE, '--remove', ...pair]);
        await removeTarget(receiver, target);
        await removeVolumes(kind === 'thin' ? 'near/pool' : origin);
      });
      const replicate = (...options: string[]) => [
        ...['replicate', '--state-dir', STATE, ...options, ...pair],
      ];
      /** Changes the volume. */
      const change = async (seed: number) => {
        if (kind === 'thin') await changeThin(origin, 10 * seed, ORIGIN_BYTES, 64 * KIB);
        else writeAt(origin, seed, seededWrites(seed, 12, 64 * KIB, ORIGIN_BYTES));
      };
      return { origin, target, replicate, change };
    }

    for (const kind of ['thick', 'thin'] as const) {
      test(`when a ${kind} volume is replicated again and again then the target follows, and can be rolled back to earlier states`, async (context) => {
        const { origin, target, replicate, change } = await prepare(context, kind);
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

    test('when the snapshot that lists the changes overflows then the target is compared, and ends identical', async (context) => {
      const { origin, target, replicate, change } = await prepare(context, 'thick');
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
      const { origin, target, replicate, change } = await prepare(context, 'thick');
      await lvmsyncOk(replicate());
      await change(1);
      writeAt(target.path, 9, [{ offset: 0, length: ORIGIN_BYTES }]);
      await lvmsyncFails(replicate(), REFUSED, /^ {2}something else has written .*--compare/m);
      const { stderr } = await lvmsyncOk(replicate('--compare'));
      assert.match(stderr, /^Comparing /m);
      await assertSameDevices(origin, target.path);
    });

    test('when it is a dry run, or cannot be, then nothing is changed', async (context) => {
      const { target, replicate } = await prepare(context, 'thick');
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
      const { origin, target, replicate, change } = await prepare(context, 'thick');
      const random = createRandom(5);
      for (let kill = 0; kill < KILLS; kill++) {
        await change(100 + kill);
        await lvmsyncKilled(replicate('--keep', '2'), () => true, random.below(RUN_MS));
        if (kill % 2 === 0) continue;
        await lvmsyncOk(replicate('--keep', '2'));
        await assertSameDevices(origin, target.path);
        assert.equal((await listVolumes('near')).match(/_lvmsync_/g)?.length, 1);
      }
    });
  },
);
