import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { endProcess, mustRun } from '../support/command.js';
import { writeAt } from '../support/devices.js';
import { checkOneMoment, startGroupWriter } from '../support/group-writer.js';
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
import { createBlankTarget, listVolumes, migrateWith } from '../support/migration.js';
import { createRandom } from '../support/random.js';
import {
  createTargetGroup,
  deviceDigest,
  receiversEnd,
  removeTarget,
} from '../support/transfer.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const REFUSED = 3;
const ORIGIN_BYTES = 4 * MIB;
const SLOTS = 512;
const STATE = '/run/state';
const PID = '/run/group-writer.pid';
const SEED = 3;

/** LVMSYNC_TEST_CYCLES=20 LVMSYNC_TEST_KILLS=50 for more. */
const CYCLES = Number(process.env.LVMSYNC_TEST_CYCLES ?? 1);
const KILLS = Number(process.env.LVMSYNC_TEST_KILLS ?? 2);
/** One run takes about so long here. */
const RUN_MS = 10_000;

/** The writer waits while the snapshots are taken. */
const PAUSE = ['--pre', `kill -STOP $(cat ${PID})`, '--post', `kill -CONT $(cat ${PID})`];

kernelTests(
  import.meta.url,
  { disks: ['192M', '64M'], timeoutSeconds: 1800 + 40 * (CYCLES + KILLS) },
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

    /** Three volumes under one writer, and a target for each. */
    async function prepare(context: TestContext) {
      await createPool('near', 'pool', 32 * MIB, 64 * KIB);
      const origins = [
        await createVolume('near', 'a', ORIGIN_BYTES, 1),
        await createThinVolume('near', 'pool', 'b', ORIGIN_BYTES),
        await createThinVolume('near', 'pool', 'c', ORIGIN_BYTES),
      ];
      const targets = [
        await createBlankTarget(receiver, ORIGIN_BYTES, 'a'),
        await createBlankTarget(receiver, ORIGIN_BYTES, 'b'),
        await createBlankTarget(receiver, ORIGIN_BYTES, 'c'),
      ];
      const pairs = origins.flatMap((origin, i) => [origin, targets[i]!.destination]);
      const replicate = (...options: string[]) => [
        ...['replicate', '--state-dir', STATE, ...options, ...pairs],
      ];
      const paths = targets.map(({ path }) => path);
      let writer: ChildProcess | undefined;
      context.after(async () => {
        if (writer) await endProcess(writer);
        await lvmsyncOk(replicate('--remove'));
        for (const target of targets) await removeTarget(receiver, target);
        await removeVolumes('near/a', 'near/pool');
      });
      writer = await startGroupWriter(PID, SEED, SLOTS, origins);
      return { targets, replicate, paths };
    }

    const digestsOf = (paths: string[]) => Promise.all(paths.map(deviceDigest));

    /** Of copies: how many records they hold, all of one moment. */
    async function checkTargets(paths: string[]): Promise<number> {
      for (const path of paths) await mustRun('blockdev', ['--flushbufs', path]);
      return checkOneMoment(SEED, SLOTS, paths);
    }

    /** What the state says of snapshots on their way. */
    function readNext(): { decided: boolean } | undefined {
      const name = readdirSync(STATE).find((each) => each.endsWith('.replica'));
      return JSON.parse(readFileSync(join(STATE, name!), 'utf8')).next;
    }

    test('when three volumes under one writer are replicated then their targets are of one moment after each run', async (context) => {
      const { replicate, paths } = await prepare(context);
      const volumes = await listVolumes('near');
      let count = 0;
      for (let cycle = 0; cycle <= CYCLES; cycle++) {
        const { stderr } = await lvmsyncOk(replicate('--keep', '2', ...PAUSE));
        const countBefore = count;
        count = await checkTargets(paths);
        assert.ok(count > countBefore, `${countBefore} records, then ${count}`);
        if (cycle > 0) assert.match(stderr, /^All 3 targets have the state of .*: they switch$/m);
      }
      await lvmsyncOk(replicate('--remove'));
      assert.equal(await listVolumes('near'), volumes);
      assert.deepEqual(readdirSync(STATE), []);
    });

    test('when a group is killed at seeded points then no target has switched before all could, and the next run completes it', async (context) => {
      const { replicate, paths } = await prepare(context);
      await lvmsyncOk(replicate(...PAUSE));
      const random = createRandom(SEED);
      for (let kill = 0; kill < KILLS; kill++) {
        const before = await digestsOf(paths);
        await lvmsyncKilled(replicate(...PAUSE), () => true, random.below(RUN_MS));
        await receiversEnd();
        if (readNext()?.decided === false) assert.deepEqual(await digestsOf(paths), before);
        await lvmsyncOk(replicate(...PAUSE));
        await checkTargets(paths);
      }
      const { stderr } = await migrateWith(replicate(...PAUSE), (line, child) => {
        if (line.startsWith('All 3 targets')) child.kill('SIGKILL');
      });
      await receiversEnd();
      assert.match(stderr, /^All 3 targets have the state of/m);
      const isDecided = readNext()?.decided === true;
      const again = await lvmsyncOk(replicate(...PAUSE));
      assert.equal(/^Completing first: .* had decided/m.test(again.stderr), isDecided);
      await checkTargets(paths);
    });

    test('when one target of a group refuses then all stay as they were', async (context) => {
      const { targets, replicate, paths } = await prepare(context);
      await lvmsyncOk(replicate(...PAUSE));
      writeAt(paths[2]!, 1, [{ offset: 0, length: ORIGIN_BYTES }]);
      const before = await digestsOf(paths);
      const compare = new RegExp(`${targets[2]!.destination}: .*\n.*--compare`);
      await lvmsyncFails(replicate(...PAUSE), REFUSED, compare);
      assert.deepEqual(await digestsOf(paths), before);
      await lvmsyncOk(replicate('--compare', ...PAUSE));
      await checkTargets(paths);
    });

    test('when file systems are to be frozen then an older kernel is refused, and they are not', async (context) => {
      const origin = await createVolume('near', 'fs', ORIGIN_BYTES);
      await mustRun('mkfs.ext4', ['-q', '-F', origin]);
      mkdirSync('/run/fs', { recursive: true });
      await mustRun('mount', [origin, '/run/fs']);
      context.after(async () => {
        await mustRun('umount', ['/run/fs']);
        await removeVolumes(origin);
      });
      const target = await createBlankTarget(receiver, ORIGIN_BYTES, 'fs');
      context.after(() => removeTarget(receiver, target));
      const volumes = await listVolumes('near');
      const args = ['replicate', '--state-dir', STATE, '--freeze', 'near/fs', target.destination];
      await lvmsyncFails(args, REFUSED, /frozen file system: that came with Linux 6\.8/);
      await mustRun('touch', ['/run/fs/thawed']);
      assert.equal(await listVolumes('near'), volumes);
    });
  },
);
