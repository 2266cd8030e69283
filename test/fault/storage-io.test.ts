/** Devices that fail: EIO at either end, full file systems, a target that shrinks. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type CommandResult, mustRun } from '../support/command.js';
import {
  assertSameDevices,
  compareDevices,
  copyDevice,
  seededWrites,
  writeAt,
} from '../support/devices.js';
import {
  brokenAt,
  createDust,
  createMapped,
  type DustDevice,
  failingWrites,
  linear,
  placeBeneath,
  remap,
  removeMapped,
} from '../support/dm.js';
import { createDirectRsh, createGate } from '../support/gate.js';
import { kernelTests } from '../support/kernel.js';
import { createGroup, createSnapshot, createVolume, removeGroup } from '../support/lvm.js';
import { lvmsync, lvmsyncOk } from '../support/lvmsync.js';
import { lvmsyncPath } from '../support/repository.js';
import { recordStorageRow } from './storage-rows.js';

const MIB = 1024 * 1024;
const VOLUME_BYTES = 8 * MIB;
const TARGET = '/dev/mapper/target';
/** The longest piece that one request of an engine may be. */
const REQUEST_BYTES = MIB;
/** One changed region among the others, in whose middle things break. */
const CHANGED = { offset: 2 * MIB, length: 4 * MIB };
const BAD_OFFSET = 5 * MIB;

const EXIT_REMOTE = 5;
const EXIT_IO = 6;

/** How a transfer is made; each of them meets each fault. */
interface Kind {
  name: string;
  options(rsh: string): string[];
  /** Over PROTO[3] the receiver's own message is all there is: the sender sees that it failed. */
  receiverFailure: number;
  /** The classic one is asked for by PROTO[4] only. */
  snapbackFormats: string[];
}

const KINDS: Kind[] = [
  { name: 'local', options: () => [], receiverFailure: EXIT_IO, snapbackFormats: ['4'] },
  {
    name: 'remote PROTO[4]',
    options: (rsh) => ['-e', rsh],
    receiverFailure: EXIT_IO,
    snapbackFormats: ['3', '4'],
  },
  {
    name: 'remote PROTO[3]',
    options: (rsh) => ['-e', rsh, '--protocol', '3'],
    receiverFailure: EXIT_REMOTE,
    snapbackFormats: ['4'],
  },
];

const modules = ['dm-dust', 'dm-flakey'];
kernelTests(import.meta.url, { disks: ['96M', '24M'], modules }, ([disk, targetDisk]) => {
  let dust: DustDevice;
  let origin: string;
  let snapshot: string;
  let directory: string;
  let directRsh: string;
  const healthy = [linear(targetDisk!, 0, VOLUME_BYTES)];

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'lvmsync-storage-'));
    directRsh = await createDirectRsh(directory);
    // Not from the disk's start, where LVM would find the same physical volume a second time.
    dust = await createDust('dust', disk!, MIB);
    await createGroup('near', [dust.path]);
    origin = await createVolume('near', 'origin', VOLUME_BYTES, 1);
    snapshot = await createSnapshot('near', 'origin', 'changes', 12 * MIB);
    writeAt(origin, 2, [...seededWrites(2, 20, 32 * 1024, VOLUME_BYTES), CHANGED]);
    await createMapped('target', healthy);
  });
  after(async () => {
    await removeMapped('target');
    await removeGroup('near');
    await removeMapped('dust');
    await rm(directory, { recursive: true, force: true });
  });

  const run = (kind: Kind, rsh: string, options: string[] = []) =>
    lvmsync(argumentsOf(kind, rsh, options));
  function argumentsOf(kind: Kind, rsh: string, options: string[] = []): string[] {
    const host = kind.name === 'local' ? '' : 'receiver:';
    const how = ['--remote-command', lvmsyncPath, ...kind.options(rsh), ...options];
    return [...how, snapshot, `${host}${TARGET}`];
  }
  const resetTarget = () => copyDevice(snapshot, TARGET);

  /** The next run, on healthy devices, makes the target what it should be; that is recorded. */
  async function heals(
    kind: Kind,
    fault: string,
    failed: CommandResult,
    outcome: 'refused' | 'failed' = 'failed',
  ): Promise<void> {
    await lvmsyncOk(argumentsOf(kind, directRsh));
    await assertSameDevices(origin, TARGET);
    recordStorageRow(kind.name, fault, failed, true, outcome);
  }

  for (const kind of KINDS) {
    test(`${kind.name}: when the origin cannot be read then the place is told, and the next run is right`, async () => {
      await resetTarget();
      await dust.addBadBlock((await placeBeneath('near-origin-real')) + BAD_OFFSET);
      const failed = await run(kind, directRsh);
      await dust.heal();
      saysWhere(failed, EXIT_IO, { verb: 'read', device: /near-origin/, offset: BAD_OFFSET });
      await heals(kind, 'EIO while the origin is read', failed);
    });

    test(`${kind.name}: when the list of changes cannot be read then nothing is written`, async () => {
      await resetTarget();
      const areaOffset = 4096; // the first area is the store's second chunk
      await dust.addBadBlock((await placeBeneath('near-changes-cow')) + areaOffset);
      const failed = await run(kind, directRsh);
      await dust.heal();
      saysWhere(failed, EXIT_IO, {
        verb: 'read',
        device: /near-changes-cow/,
        offset: areaOffset,
      });
      await assertSameDevices(snapshot, TARGET);
      await heals(kind, 'EIO while the list of changes is read', failed, 'refused');
    });

    test(`${kind.name}: when a place of the target is broken then it is told, and the next run is right`, async () => {
      await resetTarget();
      await remap('target', brokenAt(targetDisk!, VOLUME_BYTES, BAD_OFFSET, 4096));
      // The check of the base would find it by reading, when it happens to look there.
      const failed = await run(kind, directRsh, ['--no-verify-base']);
      await remap('target', healthy);
      saysWhere(failed, kind.receiverFailure, {
        verb: 'write',
        device: /mapper\/target/,
        offset: BAD_OFFSET,
      });
      await heals(kind, 'EIO at a place of the target', failed);
    });

    test(`${kind.name}: when the target takes no write then that is told, and nothing has changed`, async () => {
      await resetTarget();
      await remap('target', failingWrites(targetDisk!, VOLUME_BYTES));
      const failed = await run(kind, directRsh);
      await remap('target', healthy);
      saysWhere(failed, kind.receiverFailure, { verb: 'write', device: /mapper\/target/ });
      await assertSameDevices(snapshot, TARGET);
      await heals(kind, 'EIO at every write', failed, 'refused');
    });
  }

  test('local: when the old data in the store cannot be read then a full check of the base fails', async () => {
    await resetTarget();
    const firstDataChunk = 2 * 4096;
    await dust.addBadBlock((await placeBeneath('near-changes-cow')) + firstDataChunk);
    const failed = await run(KINDS[0]!, directRsh, ['--verify-base', 'full']);
    await dust.heal();
    saysWhere(failed, EXIT_IO, {
      verb: 'read',
      device: /near-changes-cow/,
      offset: firstDataChunk,
    });
    await assertSameDevices(snapshot, TARGET);
    await heals(KINDS[0]!, 'EIO while the old data is read', failed, 'refused');
  });

  for (const kind of KINDS.slice(1)) {
    test(`${kind.name}: when the target begins to fail in the middle then the run fails, and the next one is right`, async () => {
      await resetTarget();
      const gate = await createGate(MIB);
      const running = run(kind, gate.rsh);
      await gate.whenReached(running, () =>
        remap('target', failingWrites(targetDisk!, VOLUME_BYTES)),
      );
      const failed = await running;
      await remap('target', healthy);
      await gate.remove();
      saysWhere(failed, kind.receiverFailure, { verb: 'write', device: /mapper\/target/ });
      await heals(kind, 'EIO at every write from the middle on', failed);
    });

    test(`${kind.name}: when only the last flush fails then that is a failure too`, async () => {
      await resetTarget();
      const protocol = kind.name.includes('3') ? '3' : '4';
      const { stdout } = await lvmsyncOk(['--stdout', '--protocol', protocol, snapshot]);
      // All the data has arrived; the last bytes (of the END record, if there is one) have not.
      const gate = await createGate(stdout.length - 1);
      const running = run(kind, gate.rsh, ['--no-verify-base']);
      await gate.whenReached(running, async () => {
        await idle('target');
        await remap('target', failingWrites(targetDisk!, VOLUME_BYTES));
      });
      const failed = await running;
      await remap('target', healthy);
      await gate.remove();
      saysWhere(failed, kind.receiverFailure, {
        verb: '(flush|write)',
        device: /mapper\/target/,
      });
      await heals(kind, 'EIO at the last flush', failed);
    });

    test(`${kind.name}: when the target shrinks in the middle then the run fails, and the next one is right`, async () => {
      await resetTarget();
      const gate = await createGate(MIB);
      const running = run(kind, gate.rsh);
      await gate.whenReached(running, () => remap('target', [linear(targetDisk!, 0, BAD_OFFSET)]));
      const failed = await running;
      await remap('target', healthy);
      await gate.remove();
      fails(failed);
      assert.match(failed.stderr, /^FATAL ERROR: .*\/dev\/mapper\/target.*/m);
      assert.match(failed.stderr, /it ends before its size|became smaller/m);
      await heals(kind, 'the target shrinks in the middle', failed);
    });

    test(`${kind.name}: when the target shrinks behind the last change then the run fails as well`, async () => {
      await resetTarget();
      const gate = await createGate(MIB);
      const running = run(kind, gate.rsh);
      await gate.whenReached(running, () =>
        remap('target', [linear(targetDisk!, 0, VOLUME_BYTES - 4096)]),
      );
      const failed = await running;
      await remap('target', healthy);
      await gate.remove();
      fails(failed);
      assert.match(failed.stderr, /^FATAL ERROR: .*\/dev\/mapper\/target.*/m);
      await heals(kind, 'the target shrinks behind the last change', failed);
    });

    for (const format of kind.snapbackFormats) {
      test(`${kind.name}: when there is no room for a snapback of format ${format} then it holds all that was overwritten`, async () => {
        await resetTarget();
        await inSmallFileSystem(async (small) => {
          const snapback = join(small, 'snapback');
          const options = ['--snapback', snapback, '--snapback-format', format];
          const failed = await run(kind, directRsh, options);
          fails(failed, kind.receiverFailure);
          assert.match(failed.stderr, /^FATAL ERROR: .*snapback \/\S*\/small\/snapback: .*ENOSPC/m);
          assert.match(failed.stderr, /free some space/);
          const { differingBlocks } = await compareDevices(snapshot, TARGET);
          assert.ok(differingBlocks > 0, 'it failed before it had overwritten anything');
          // Of a classic snapback nobody can say whether it was cut so: a person has to.
          await lvmsyncOk(['rollback', ...(format === '3' ? ['--force'] : []), snapback, TARGET]);
          await assertSameDevices(snapshot, TARGET);
          await heals(kind, `ENOSPC on a snapback of format ${format}`, failed);
        });
      });
    }
  }

  for (const kind of KINDS.slice(0, 2)) {
    test(`${kind.name}: when there is no room for the spool then the target is untouched`, async () => {
      await resetTarget();
      await inSmallFileSystem(async (small) => {
        const state = join(small, 'state');
        const command = `LVMSYNC_STATE_DIR=${state} ${lvmsyncPath}`;
        const options = ['--transactional', '--state-dir', state, '--remote-command', command];
        const failed = await run(kind, directRsh, options);
        fails(failed, EXIT_IO);
        assert.match(
          failed.stderr,
          /^FATAL ERROR: .*the spool \/\S*\/small\/state\/\S+: .*ENOSPC/m,
        );
        assert.match(failed.stderr, /the target is untouched; free some space/);
        await assertSameDevices(snapshot, TARGET);
        assert.deepEqual(await readdir(state), [], 'something is left of the spool');
        await heals(kind, 'ENOSPC on the spool', failed, 'refused');
      });
    });
  }

  /** With a file system that is smaller than the changes. */
  async function inSmallFileSystem(use: (path: string) => Promise<void>): Promise<void> {
    const small = join(directory, 'small');
    await mkdir(small, { recursive: true });
    await mustRun('mount', ['-t', 'tmpfs', '-o', 'size=3m,mode=700', 'small', small]);
    try {
      await use(small);
    } finally {
      await mustRun('umount', [small]);
    }
  }
});

/** Failed, with one message, and without a word that could be taken for success. */
function fails(result: CommandResult, status?: number): void {
  if (status === undefined) assert.notEqual(result.status, 0, result.stderr);
  else assert.equal(result.status, status, result.stderr);
  assert.match(result.stderr, /^FATAL ERROR: /m);
  assert.doesNotMatch(result.stderr, /^Transferred /m);
  assert.doesNotMatch(result.stderr, /^\s+at /m, 'a stack trace');
}

/** Failed, and says on which device, at which byte, and the system's name of the error. */
function saysWhere(
  result: CommandResult,
  status: number,
  { verb, device, offset }: { verb: string; device: RegExp; offset?: number },
): void {
  fails(result, status);
  const pattern = new RegExp(
    `^FATAL ERROR: .*cannot ${verb} (\\S+?)(?: at byte (\\d+))?: .*\\(EIO\\)$`,
    'm',
  );
  const match = pattern.exec(result.stderr);
  assert.ok(match !== null, result.stderr);
  const [place, told] = match.slice(-2);
  assert.match(place!, device);
  if (offset === undefined) return;
  assert.ok(
    Number(told) <= offset && offset < Number(told) + REQUEST_BYTES,
    `byte ${told} is told, ${offset} is broken`,
  );
}

/** Waits until a device has nothing in flight and gets nothing new. */
async function idle(name: string): Promise<void> {
  const path = await mustRun('readlink', ['-f', `/dev/mapper/${name}`]);
  let last = '';
  for (let same = 0; same < 3; ) {
    const minor = await mustRun('dmsetup', [
      'info',
      '--columns',
      '--noheadings',
      '-o',
      'minor',
      path,
    ]);
    const now = await readFile(`/sys/block/dm-${minor.trim()}/stat`, 'utf8');
    same = now === last ? same + 1 : 0;
    last = now;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
