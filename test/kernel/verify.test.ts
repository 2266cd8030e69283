import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { mustRun } from '../support/command.js';
import { assertSameDevices, compareDevices, fillDevice, writeAt } from '../support/devices.js';
import { type Receiver, startReceiver } from '../support/hosts.js';
import { kernelTests } from '../support/kernel.js';
import {
  createGroup,
  createSnapshot,
  createVolume,
  removeGroup,
  removeVolumes,
} from '../support/lvm.js';
import { lvmsync, lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { createRandom } from '../support/random.js';
import {
  createTarget,
  createTargetGroup,
  deviceDigest,
  removeTarget,
  type Target,
} from '../support/transfer.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const BLOCK_BYTES = 4 * KIB;
const VOLUME_BYTES = 48 * MIB;

kernelTests(import.meta.url, { disks: ['160M', '96M'] }, ([disk, receiverDisk]) => {
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

  /** A volume and the receiver's copy of it. */
  async function prepare(context: TestContext): Promise<{ origin: string; target: Target }> {
    const origin = await createVolume('near', 'origin', VOLUME_BYTES, 1);
    const target = await createTarget(receiver, origin);
    context.after(async () => {
      await removeTarget(receiver, target);
      await removeVolumes(origin);
    });
    return { origin, target };
  }

  /** Makes so many seeded blocks of the target other ones; resolves to the ranges, as printed. */
  function spoil(target: Target, blocks: number): string {
    const random = createRandom(blocks);
    const chosen = new Set<number>();
    while (chosen.size < blocks) chosen.add(random.below(VOLUME_BYTES / BLOCK_BYTES));
    const ascending = [...chosen].sort((a, b) => a - b);
    writeAt(
      target.path,
      blocks,
      ascending.map((block) => ({ offset: block * BLOCK_BYTES, length: 512 })),
    );
    const ranges: [number, number][] = [];
    for (const block of ascending) {
      const last = ranges.at(-1);
      if (last !== undefined && last[0] + last[1] === block * BLOCK_BYTES) last[1] += BLOCK_BYTES;
      else ranges.push([block * BLOCK_BYTES, BLOCK_BYTES]);
    }
    return ranges.map((range) => `${range.join(' ')}\n`).join('');
  }

  for (const blocks of [1, 100, 10_000]) {
    test(`when ${blocks} blocks of a device differ then verify finds just those, and repairs them`, async (context) => {
      const { origin, target } = await prepare(context);
      await lvmsyncOk(['verify', origin, target.destination]);
      const ranges = spoil(target, blocks);
      const digest = await deviceDigest(target.path);
      const { status, stdout, stderr } = await lvmsync([
        'verify',
        'near/origin',
        target.destination,
      ]);
      assert.equal(status, 1, stderr);
      assert.equal(stdout.toString(), ranges);
      assert.equal(await deviceDigest(target.path), digest, 'nothing is written');

      const repaired = await lvmsyncOk(['verify', '--repair', origin, target.destination]);
      assert.match(repaired.stderr, new RegExp(`Repaired: ${blocks * BLOCK_BYTES} bytes`));
      await assertSameDevices(origin, target.path);
    });
  }

  test('when the origin goes on then its snapshot is what the target is compared with and repaired from', async (context) => {
    const { origin, target } = await prepare(context);
    const snapshot = await createSnapshot('near', 'origin', 'moment', 8 * MIB, 64 * KIB);
    writeAt(origin, 2, [{ offset: 3 * MIB, length: 64 * KIB }]);
    const { stderr } = await lvmsyncOk(['verify', snapshot, target.destination]);
    assert.doesNotMatch(stderr, /can be written to/);
    spoil(target, 20);
    await lvmsyncOk(['verify', '--repair', snapshot, target.destination]);
    await assertSameDevices(snapshot, target.path);
    const live = await lvmsync(['verify', origin, target.destination]);
    assert.equal(live.stdout.toString(), `${3 * MIB} ${64 * KIB}\n`);
    assert.match(live.stderr, /can be written to/);
  });

  test('when only what a snapshot lists is to be compared then nothing else is', async (context) => {
    const { origin, target } = await prepare(context);
    const snapshot = await createSnapshot('near', 'origin', 'before', 8 * MIB, 16 * KIB);
    writeAt(origin, 3, [
      { offset: 5 * MIB, length: 16 * KIB },
      { offset: 40 * MIB, length: 32 * KIB },
    ]);
    await lvmsyncOk([snapshot, target.destination]);
    const args = ['verify', '--changed', snapshot, origin, target.destination];
    const same = await lvmsyncOk(args);
    assert.match(same.stderr, new RegExp(`Compared ${48 * KIB} of ${VOLUME_BYTES} bytes`));
    const places = [5 * MIB + 4 * KIB, 20 * MIB].map((offset) => ({ offset, length: 512 }));
    writeAt(target.path, 4, places);
    const { stdout } = await lvmsync(args);
    assert.equal(stdout.toString(), `${5 * MIB + 4 * KIB} ${BLOCK_BYTES}\n`);
    await lvmsyncOk([...args, '--repair']);
    assert.equal((await compareDevices(origin, target.path)).firstOffset, 20 * MIB);
    const other = await createVolume('near', 'other', 4 * MIB, 5);
    context.after(() => removeVolumes(other));
    const wrong = ['verify', '--changed', snapshot, other, target.destination];
    await lvmsyncFails(wrong, 2, /is of a volume of/);
  });

  test('when the target is mounted then it is compared with a warning, but not repaired', async (context) => {
    const { origin, target } = await prepare(context);
    await mustRun('mkfs.ext4', ['-q', '-F', origin]);
    await lvmsyncOk(['verify', '--repair', origin, target.destination]);
    await receiver.mustRun('mkdir', ['-p', '/run/mounted']);
    await receiver.mustRun('mount', [target.remotePath, '/run/mounted']);
    try {
      const { status, stderr } = await lvmsync(['verify', origin, target.destination]);
      assert.ok(status === 0 || status === 1, stderr);
      assert.match(stderr, /is mounted on \/run\/mounted/);
      const args = ['verify', '--repair', origin, target.destination];
      await lvmsyncFails(args, 3, /is mounted on \/run\/mounted/);
    } finally {
      await receiver.mustRun('umount', ['/run/mounted']);
    }
    await lvmsyncOk(['verify', '--repair', origin, target.destination]);
    await assertSameDevices(origin, target.path);
  });

  test('when the source is mounted then that is said', async (context) => {
    const { origin, target } = await prepare(context);
    await mustRun('mkfs.ext4', ['-q', '-F', origin]);
    const place = mkdtempSync(join(tmpdir(), 'lvmsync-verify-'));
    await mustRun('mount', [origin, place]);
    try {
      writeFileSync(join(place, 'file'), 'x');
      const { status, stderr } = await lvmsync(['verify', origin, target.destination]);
      assert.equal(status, 1);
      assert.match(stderr, /WARNING: .* is mounted on .*compare a snapshot of it/);
    } finally {
      await mustRun('umount', [place]);
    }
  });

  test('when a snapshot is compared with its own origin then what was written since differs, and can be put back', async (context) => {
    const { origin } = await prepare(context);
    const snapshot = await createSnapshot('near', 'origin', 'own', 4 * MIB, 16 * KIB);
    await lvmsyncOk(['verify', snapshot, origin]);
    writeAt(origin, 6, [{ offset: 7 * MIB, length: 4 * KIB }]);
    const { stdout } = await lvmsync(['verify', snapshot, origin]);
    assert.equal(stdout.toString(), `${7 * MIB} ${4 * KIB}\n`);
    await lvmsyncOk(['verify', '--repair', snapshot, origin]);
    await assertSameDevices(snapshot, origin);
  });

  test('when a device cannot be read in one place then the run fails and names it', async (context) => {
    const { target } = await prepare(context);
    const broken = await createVolume('near', 'broken', VOLUME_BYTES, 1);
    await fillDevice(broken, 1);
    const name = 'near-broken-part';
    const half = VOLUME_BYTES / 2 / 512;
    const table = `0 ${half} linear ${broken} 0\n${half} 8 error\n${half + 8} ${half - 8} linear ${broken} ${half + 8}\n`;
    await mustRun('dmsetup', ['create', name], { input: table });
    await mustRun('dmsetup', ['mknodes', name]);
    context.after(async () => {
      await mustRun('dmsetup', ['remove', name]);
      await removeVolumes(broken);
    });
    const args = ['verify', `/dev/mapper/${name}`, target.destination];
    await lvmsyncFails(args, 6, new RegExp(`at byte ${VOLUME_BYTES / 2}`));
  });
});
