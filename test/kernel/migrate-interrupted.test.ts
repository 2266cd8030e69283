import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { runCommand } from '../support/command.js';
import { assertSameDevices, writeAt } from '../support/devices.js';
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
import { lvmsync, lvmsyncOk } from '../support/lvmsync.js';
import {
  assertNoSnapshots,
  createBlankTarget,
  listVolumes,
  migrateWith,
  useBareVolume,
} from '../support/migration.js';
import { createRandom } from '../support/random.js';
import { createTargetGroup, removeTarget } from '../support/transfer.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const ORIGIN_BYTES = 12 * MIB;
const STATE = '/run/state';

/** How many kills in all: LVMSYNC_TEST_KILLS=50 for the full number (and LVMSYNC_TEST_TIMEOUT_MS). */
const KILLS = Number(process.env.LVMSYNC_TEST_KILLS ?? 4);
/** Of one migration, before it is left to end; there are two at least, a thick and a thin one. */
const KILLS_EACH = Math.min(4, Math.ceil(KILLS / 2));
/** A whole migration takes about so long here. */
const WHOLE_MS = 16_000;
const SECONDS_PER_KILL = 60;
kernelTests(
  import.meta.url,
  { disks: ['192M', '64M'], timeoutSeconds: 1800 + KILLS * SECONDS_PER_KILL },
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
      context.after(async () => {
        await removeTarget(receiver, target);
        await removeVolumes(kind === 'thin' ? 'near/pool' : origin);
      });
      const migrate = (...options: string[]) => [
        ...['migrate', '--state-dir', STATE, ...options, 'near/origin', target.destination],
      ];
      return { origin, target, migrate };
    }

    async function assertNothingLeft(): Promise<void> {
      await assertNoSnapshots('near');
      assert.deepEqual(
        readdirSync(STATE).filter((name) => name.endsWith('.migration')),
        [],
      );
    }

    for (let first = 0, seed = 1; first < KILLS; first += KILLS_EACH, seed++) {
      const kind = seed % 2 === 1 ? 'thick' : 'thin';
      const side = seed % 4 < 2 ? 'sender' : 'receiver';
      test(`when the ${side} is killed at points of seed ${seed} and a ${kind} migration is run again then it ends identical`, async (context) => {
        const { origin, target, migrate } = await prepare(context, kind);
        const volume = await useBareVolume(origin, seed);
        context.after(() => volume.end());
        const random = createRandom(seed);
        const args = migrate('--rounds', '2', '--before-cutover', volume.stop);
        for (let kill = 0; kill < KILLS_EACH; kill++) {
          const milliseconds = random.below(WHOLE_MS);
          if (side === 'sender') await lvmsyncKilled(args, () => true, milliseconds);
          else await killReceiver([...args, '--retries', String(random.below(2))], milliseconds);
        }
        await lvmsyncOk(args);
        await assertSameDevices(origin, target.path);
        assert.ok((await volume.check(target.path)) > 10);
        await assertNothingLeft();
      });
    }

    /** Runs a migration and kills each receiver that is there from that time on, until one was. */
    async function killReceiver(args: string[], milliseconds: number): Promise<void> {
      const run = lvmsync(args);
      let ended = false;
      void run.finally(() => {
        ended = true;
      });
      await Promise.race([delay(milliseconds), run]);
      while (!ended) {
        const found = await runCommand('pgrep', ['-f', 'lvmsync.* --apply - .*/dev/far/target']);
        const pids = found.stdout.toString().split('\n').filter(Boolean).map(Number);
        for (const pid of pids) kill(pid);
        if (pids.length > 0) break;
        await delay(20);
      }
      await run;
    }

    test('when a migration was killed and is given up then LVM is left as it was found', async (context) => {
      const { origin, migrate } = await prepare(context, 'thick');
      await removeVolumes(origin);
      await createVolume('near', 'origin', ORIGIN_BYTES, 1);
      await runCommand('lvcreate', ['-s', '-L', '4m', '-n', 'own', 'near/origin']);
      const volumes = await listVolumes('near');
      const random = createRandom(9);
      for (let kill = 0; kill < 3; kill++) {
        await lvmsyncKilled(migrate('--rounds', '2'), () => true, random.below(WHOLE_MS));
        await lvmsyncOk(['migrate', '--state-dir', STATE, '--abort', 'near/origin']);
        assert.equal(await listVolumes('near'), volumes);
        assert.deepEqual(readdirSync(STATE), []);
      }
      await removeVolumes('near/own');
    });

    test('when it is interrupted then it says how to go on, and does', async (context) => {
      const { origin, target, migrate } = await prepare(context, 'thick');
      const { status, stderr } = await migrateWith(migrate('--rounds', '2'), (line, child) => {
        if (line.startsWith('Copied')) child.kill('SIGINT');
      });
      assert.equal(status, 8, stderr);
      assert.match(
        stderr,
        /^FATAL ERROR: the migration was interrupted\n {2}run the same command/m,
      );
      await lvmsyncOk(migrate('--rounds', '2'));
      await assertSameDevices(origin, target.path);
      await assertNothingLeft();
    });

    for (const when of ['Copying', 'Copied', 'Round 1']) {
      test(`when a snapshot overflows after "${when}" then the volume is copied or compared again and ends identical`, async (context) => {
        const { origin, target, migrate } = await prepare(context, 'thick');
        let bursts = 0;
        const args = migrate('--rounds', '2', '--snapshot-size', '1M', '--extend-at', '100');
        const { status, stderr } = await migrateWith(args, (line) => {
          if (!line.startsWith(when) || bursts++ > 0) return;
          writeAt(origin, 7, [{ offset: 2 * MIB, length: 3 * MIB }]);
        });
        assert.equal(status, 0, stderr);
        assert.match(stderr, /^WARNING: snapshot \S+ overflowed: /m);
        const again = when === 'Copying' ? /^Copying/gm : /^Comparing/gm;
        assert.equal(stderr.match(again)?.length, when === 'Copying' ? 2 : 1, stderr);
        await assertSameDevices(origin, target.path);
        await assertNothingLeft();
      });
    }

    test('when a snapshot fills up and there is room then it is extended, and nothing is copied again', async (context) => {
      const { origin, target, migrate } = await prepare(context, 'thick');
      let bursts = 0;
      const args = migrate('--rounds', '2', '--snapshot-size', '4M', '--extend-at', '50');
      const { status, stderr } = await migrateWith(args, (line) => {
        if (!line.startsWith('Copying') || bursts++ > 0) return;
        writeAt(origin, 8, [{ offset: 2 * MIB, length: 3 * MIB }]);
      });
      assert.equal(status, 0, stderr);
      assert.match(stderr, /^Snapshot \S+ is \d+% full: extended by /m);
      assert.equal(stderr.match(/^Copying/gm)?.length, 1, stderr);
      await assertSameDevices(origin, target.path);
    });
  },
);

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended just now
  }
}
