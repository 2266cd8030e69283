import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { after, before, type TestContext, test } from 'node:test';
import { assertSameDevices, compareDevices } from '../support/devices.js';
import { type Receiver, startReceiver } from '../support/hosts.js';
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
import {
  assertNoSnapshots,
  createBlankTarget,
  listVolumes,
  useVolume,
} from '../support/migration.js';
import { createTargetGroup, removeTarget } from '../support/transfer.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const REFUSED = 3;
const ORIGIN_BYTES = 48 * MIB;
const STATE = '/run/state';

kernelTests(import.meta.url, { disks: ['256M', '96M'] }, ([disk, receiverDisk]) => {
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

  /** An origin in use, and a blank target. */
  async function prepare(context: TestContext, kind: 'thick' | 'thin', seed: number) {
    if (kind === 'thin') await createPool('near', 'pool', 128 * MIB, 64 * KIB);
    const origin =
      kind === 'thin'
        ? await createThinVolume('near', 'pool', 'origin', ORIGIN_BYTES)
        : await createVolume('near', 'origin', ORIGIN_BYTES, 1);
    const target = await createBlankTarget(receiver, ORIGIN_BYTES);
    const volume = await useVolume(origin, seed);
    context.after(async () => {
      await volume.end();
      await removeTarget(receiver, target);
      await removeVolumes(kind === 'thin' ? 'near/pool' : origin);
    });
    const migrate = (...options: string[]) => [
      ...['migrate', '--state-dir', STATE, '--before-cutover', volume.stop],
      ...[...options, 'near/origin', target.destination],
    ];
    return { origin, target, volume, migrate };
  }

  for (const kind of ['thick', 'thin'] as const) {
    test(`when a ${kind} volume is migrated under a writer then the target holds every acknowledged write, and equals it`, async (context) => {
      const { origin, target, volume, migrate } = await prepare(context, kind, 1);
      const { stderr } = await lvmsyncOk(
        migrate('-v', '--rounds', '3', '--after-cutover', 'touch /run/started'),
      );
      process.stdout.write(stderr);
      assert.match(stderr, /^Round 3: /m);
      assert.match(stderr, /^Migrated: .*; downtime \d+\.\d s/m);
      await assertSameDevices(origin, target.path);
      assert.ok((await volume.check(target.path)) > 10);
      await receiver.mustRun('rm', ['/run/started']);
      await assertNoSnapshots('near');
      assert.deepEqual(
        readdirSync(STATE).filter((name) => name.endsWith('.migration')),
        [],
      );
    });
  }

  test('when it is a dry run then both sides are checked and nothing is changed', async (context) => {
    const { target, migrate } = await prepare(context, 'thick', 2);
    const volumes = await listVolumes('near');
    const { stderr } = await lvmsyncOk(migrate('--dry-run'));
    assert.match(stderr, /^Migrating near\/origin \(48\.0 MiB, thick\) to receiver:/m);
    assert.match(stderr, /^ {2}target: a block device of 48\.0 MiB, not in use/m);
    assert.equal(await listVolumes('near'), volumes);
    assert.ok(!existsSync(STATE) || readdirSync(STATE).length === 0);
    assert.ok((await compareDevices('/dev/near/origin', target.path)).differingBlocks > 0);
  });

  test('when the command before the cut-over fails then the origin is untouched, and the next run goes on', async (context) => {
    const { origin, target, migrate } = await prepare(context, 'thick', 3);
    const failing = migrate('--rounds', '1', '--before-cutover', 'exit 9');
    await lvmsyncFails(failing, REFUSED, /^FATAL ERROR: the command "exit 9" .* 9; no cut-over$/m);
    const { stdout, stderr } = await lvmsyncOk(
      migrate('--rounds', '1', '--json', '--progress', 'plain'),
    );
    assert.match(stderr, /goes on with the migration begun/);
    assert.doesNotMatch(stderr, /^Copying/m);
    assert.match(stderr, /^cut-over, sending: 0 B of /m);
    assert.match(stderr, /^cut-over, verifying: 0 B of /m);
    const { ok, rounds, dryRun, comparedBytes, downtimeSeconds } = JSON.parse(stdout.toString());
    assert.deepEqual([ok, rounds, dryRun], [true, 1, false]);
    assert.ok(comparedBytes > 0 && downtimeSeconds > 0);
    await assertSameDevices(origin, target.path);
    await assertNoSnapshots('near');
  });

  test('when the origin is still in use at the cut-over then it is refused', async (context) => {
    const { migrate } = await prepare(context, 'thick', 4);
    const volumes = await listVolumes('near');
    await lvmsyncFails(
      migrate('--rounds', '0', '--before-cutover', 'true'),
      REFUSED,
      /^FATAL ERROR: near\/origin is mounted on \/run\/origin: no cut-over/m,
    );
    const { stderr } = await lvmsyncOk(['migrate', '--state-dir', STATE, '--abort', 'near/origin']);
    assert.match(stderr, /^Given up: .*removed near\/origin_lvmsync_/m);
    assert.equal(await listVolumes('near'), volumes);
    assert.deepEqual(readdirSync(STATE), []);
  });
});
