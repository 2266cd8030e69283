/**
 * The receiver loses its power. Its target and the file system with its snapback or spool are two
 * disks with volatile caches; whatever of those caches was lost or kept, at any moment of the run,
 * the target becomes old or new again, and once the run has said that it succeeded it is new.
 */
import assert from 'node:assert/strict';
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createJsEngine } from '#lvmsync/block/js-engine.js';
import { LvmsyncError } from '#lvmsync/errors.js';
import { openTargetForWriting } from '#lvmsync/receive/open-target.js';
import { rollback } from '#lvmsync/receive/rollback.js';
import { rollbackTo } from '#lvmsync/receive/rollback-to.js';
import { mustRun } from '../support/command.js';
import { assertSameDevices, copyDevice, seededWrites, writeAt } from '../support/devices.js';
import { createMapped, linear, removeMapped } from '../support/dm.js';
import { createDirectRsh } from '../support/gate.js';
import { kernelTests } from '../support/kernel.js';
import {
  createLogWrites,
  createReplay,
  type Disk,
  type LogEntry,
  type Part,
} from '../support/log-writes.js';
import { createGroup, createSnapshot, createVolume, removeGroup } from '../support/lvm.js';
import { lvmsyncOk } from '../support/lvmsync.js';
import { encodeTransfer } from '../support/proto4.js';
import { createRandom, type Random } from '../support/random.js';
import { lvmsyncPath } from '../support/repository.js';
import { type Shell, startShell } from '../support/shell.js';
import { appendRow, faultPoints } from './matrix.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const VOLUME_BYTES = 4 * MIB;
const FILES_BYTES = 12 * MIB;

const TARGET: Part = { name: 'target', offset: 0, bytes: VOLUME_BYTES };
const FILES: Part = { name: 'files', offset: VOLUME_BYTES, bytes: FILES_BYTES };

/** Disks in memory, of this size each unless their module is told otherwise. */
const RAM_DISKS = ['/dev/ram0', '/dev/ram1', '/dev/ram2', '/dev/ram3'];
const RAM_DISK_BYTES = 4 * MIB;
const TARGET_PATH = '/dev/mapper/target';
const FILES_PATH = '/dev/mapper/files';
/** Whether this is the full fault matrix, which alone has the time for everything. */
const IS_FULL = faultPoints > 10;
/** Of the states of a target that is replicated to. */
const BASE_TIME = '2026-01-30T12:00:00.000Z';
const FRESH_TIME = '2026-01-31T12:00:00.000Z';

interface PowerCase {
  name: string;
  options: () => string[];
  /** What the receiver is told of the history that it keeps. */
  replica?: string[];
  mend: (targetPath: string) => Promise<unknown>;
  isMended: (target: Buffer) => boolean;
  promise: string;
}

/** Both disks at one moment, after the power has come back. */
interface Remains {
  target: Buffer;
  files: Buffer;
}

const disks = ['24M', '16M', '64M'];
const modules = ['dm-log-writes', 'brd'];
kernelTests(import.meta.url, { disks, modules }, ([lvmDisk, disk, logDisk]) => {
  let directory: string;
  let rsh: string;
  let shell: Shell;
  let place: string; // where the receiver's files are mounted
  let origin: string;
  let snapshot: string;
  let old: Buffer;
  let fresh: Buffer;
  const engine = createJsEngine();

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'lvmsync-power-'));
    rsh = await createDirectRsh(directory);
    place = join(directory, 'files');
    await mkdir(place);
    shell = startShell();
    await createGroup('near', [lvmDisk!]);
    origin = await createVolume('near', 'origin', VOLUME_BYTES, 1);
    snapshot = await createSnapshot('near', 'origin', 'changes', 8 * MIB);
    // Small extents, so that there are several records, and some long ones.
    const writes = Array.from({ length: 400 }, (_, i) => ({ offset: 8 * KIB * i, length: 512 }));
    writeAt(origin, 2, [...writes, ...seededWrites(2, 6, 256 * KIB, VOLUME_BYTES)]);
    old = await contentOf(snapshot);
    fresh = await contentOf(origin);
    assert.ok(!old.equals(fresh));
  });
  after(async () => {
    shell.end();
    await removeGroup('near');
    await rm(directory, { recursive: true, force: true });
  });

  /** Runs a transfer onto recorded disks; resolves everything that happened to them. */
  async function recordRun(options: string[], replica: string[] = []): Promise<LogEntry[]> {
    const device = await createLogWrites('recorded', disk!, logDisk!);
    const target = await createMapped('target', [linear(device.path, TARGET.offset, TARGET.bytes)]);
    const files = await createMapped('files', [linear(device.path, FILES.offset, FILES.bytes)]);
    await copyDevice(snapshot, target);
    await mkfs(files);
    // Nothing but the run itself is to commit the journal.
    await mustRun('mount', ['-o', 'commit=900', files, place]);
    if (replica.length > 0) await beginHistory(target);
    await mustRun('sync', []);
    await device.mark('begin');
    const remoteCommand = `LVMSYNC_STATE_DIR=${place}/state ${[lvmsyncPath, ...replica].join(' ')}`;
    const how = ['-e', rsh, '--remote-command', remoteCommand, ...options];
    await lvmsyncOk([...how, snapshot, `receiver:${target}`]);
    await device.mark('acknowledged');
    await assertSameDevices(origin, target);
    await mustRun('umount', [place]);
    await removeMapped('target', 'files');
    return device.finish();
  }

  /** The target holds the base already: so says the first run of a replication. */
  async function beginHistory(target: string): Promise<void> {
    const words = ['--apply', '-', '--protocol', '4', '--keep', '2', '--state-after', BASE_TIME];
    await lvmsyncOk([...words, target], {
      input: encodeTransfer(VOLUME_BYTES, [], 'nothing'),
      env: { LVMSYNC_STATE_DIR: join(place, 'state') },
    });
  }

  /** Starts the receiver again with what is left, and has it mend the target. */
  async function afterRestart(
    { target, files }: Remains,
    mend: (targetPath: string) => Promise<unknown>,
  ): Promise<Buffer> {
    writeWhole(TARGET_PATH, target);
    writeWhole(FILES_PATH, files);
    await shell.run(`mount ${FILES_PATH} ${place}`);
    try {
      await mend(TARGET_PATH);
    } finally {
      await shell.run(`umount ${place}`);
    }
    return readFileSync(TARGET_PATH); // a direct write drops what the page cache held of its place
  }

  /** Puts back from the snapback, as far as there is one. */
  async function putBack(targetPath: string): Promise<void> {
    const stateDirectory = join(place, 'state');
    const snapbackPath = join(place, 'snapback');
    await rollback({ snapbackPath, targetPath, engine, stateDirectory, force: true }).catch(
      (error: unknown) => {
        // Then nothing must have been overwritten yet: the caller compares.
        if (!(error instanceof LvmsyncError)) throw error;
      },
    );
  }

  /** Puts back from the history, which always knows a way. */
  async function rollBack(targetPath: string): Promise<void> {
    const stateDirectory = join(place, 'state');
    await rollbackTo({ targetPath, time: BASE_TIME, engine, stateDirectory });
  }

  /** Opens the target for the next run, which completes what has been decided. */
  async function openAgain(targetPath: string): Promise<void> {
    const stateDirectory = join(place, 'state');
    const target = await openTargetForWriting({ targetPath, engine, stateDirectory });
    await target.close();
  }

  const snapback = () => ['--snapback', join(place, 'snapback')];
  const replica = ['--keep', '2', '--state-before', BASE_TIME, '--state-after', FRESH_TIME];
  const cases: PowerCase[] = [
    {
      name: 'PROTO[3] and an undo log',
      options: () => ['--protocol', '3', ...snapback()],
      mend: putBack,
      isMended: (target: Buffer) => target.equals(old),
      promise: 'the undo log restores the target',
    },
    {
      name: 'PROTO[4] and a classic snapback',
      options: () => ['--protocol', '4', ...snapback(), '--snapback-format', '3'],
      mend: putBack,
      isMended: (target: Buffer) => target.equals(old),
      promise: 'the snapback restores the target',
    },
    {
      name: 'PROTO[4] and an undo log',
      options: () => ['--protocol', '4', ...snapback()],
      mend: putBack,
      isMended: (target: Buffer) => target.equals(old),
      promise: 'the undo log restores the target',
    },
    {
      name: 'PROTO[4] and a transaction',
      options: () => ['--protocol', '4', '--transactional'],
      mend: openAgain,
      isMended: (target: Buffer) => target.equals(old) || target.equals(fresh),
      promise: 'the next run makes the target old or new',
    },
    {
      name: 'PROTO[4] and a transaction with an undo log',
      options: () => ['--protocol', '4', '--transactional', ...snapback()],
      mend: putBack,
      isMended: (target: Buffer) => target.equals(old),
      promise: 'the undo log restores the target',
    },
  ];
  const histories: PowerCase[] = [
    {
      name: 'PROTO[4] and a history',
      options: () => ['--protocol', '4'],
      replica,
      mend: rollBack,
      isMended: (target: Buffer) => target.equals(old),
      promise: 'the history leads back to the base',
    },
    {
      name: 'PROTO[4] and a transaction with a history',
      options: () => ['--protocol', '4', '--transactional'],
      replica,
      mend: rollBack,
      isMended: (target: Buffer) => target.equals(old),
      promise: 'the history leads back to the base',
    },
  ];
  const tried = IS_FULL ? [...cases, ...histories] : cases;
  for (const [index, { name, options, replica, mend, isMended, promise }] of tried.entries()) {
    test(`${name}: when the power fails at any flush or between then ${promise}`, async () => {
      const entries = await recordRun(options(), replica);
      const random = createRandom(index);
      const counts = { moments: 0, remains: 0, mixed: 0 };
      const [targetDisk, ...filesDisks] = RAM_DISKS.map((path) => linear(path, 0, RAM_DISK_BYTES));
      await createMapped('target', [targetDisk!]);
      await createMapped('files', filesDisks);
      try {
        await eachMoment(entries, random, async (disks, acknowledged) => {
          counts.moments++;
          for (const remains of possibleRemains(disks, random)) {
            counts.remains++;
            const { target } = remains;
            if (!target.equals(old) && !target.equals(fresh)) counts.mixed++;
            const where = `moment ${counts.moments}, remains ${counts.remains}`;
            if (acknowledged)
              assert.ok(target.equals(fresh), `acknowledged, but not new: ${where}`);
            assert.ok(isMended(await afterRestart(remains, mend)), `not mended: ${where}`);
          }
        });
      } finally {
        await removeMapped('target', 'files');
      }
      assert.ok(counts.moments > 5, `only ${counts.moments} moments`);
      assert.ok(counts.mixed > 0, 'the target was never neither old nor new');
      console.log(`${name}: ${JSON.stringify(counts)}`);
      appendRow({
        kind: name,
        fault: `power loss of the receiver, ${counts.remains} remains of ${counts.moments} moments`,
        outcome: 'failed',
        exits: [],
        message: '',
        target: 'old or new',
        healed: true,
        falseSuccess: false,
        lostData: false,
      });
    });
  }
});

/**
 * Calls back right before and right after every flush from the beginning of the run on, when there
 * is most and least in the caches, and at some moments between.
 */
async function eachMoment(
  entries: LogEntry[],
  random: Random,
  look: (disks: Disks, acknowledged: boolean) => Promise<void>,
): Promise<void> {
  // A journal's commit block is written with FUA right behind its own flush (jbd2).
  const replay = createReplay(entries, [TARGET, FILES], (next) =>
    next?.fua === true && next.part === FILES.name ? FILES.name : TARGET.name,
  );
  const disks: Disks = { target: replay.disk(TARGET.name), files: replay.disk(FILES.name) };
  let running = false;
  let acknowledged = false;
  for (;;) {
    const flush = entries[replay.position]?.type === 'flush';
    if (running && flush) await look(disks, acknowledged);
    const entry = replay.step();
    if (entry === undefined) return;
    if (running && (flush || random.chance(0.01))) await look(disks, acknowledged);
    if (entry.type === 'mark') {
      running ||= entry.name === 'begin';
      acknowledged ||= entry.name === 'acknowledged';
    }
  }
}

interface Disks {
  target: Disk;
  files: Disk;
}

/**
 * What a power loss now could leave: what overtakes the most, and a mixture of both caches; for the
 * full matrix the other extremes, too.
 */
function* possibleRemains({ target, files }: Disks, random: Random): Generator<Remains> {
  const all = () => true;
  const none = () => false;
  const some = () => random.chance(0.5);
  const fates = [
    [all, none],
    [some, some],
    [none, none],
    [none, all],
  ] as const;
  const tried = IS_FULL ? fates : fates.slice(0, 2);
  for (const [index, [targetFate, filesFate]] of tried.entries()) {
    // Where a cache is empty, several fates are one.
    if (index > 0 && !target.hasVolatile() && !files.hasVolatile()) return;
    yield { target: target.afterPowerLoss(targetFate), files: files.afterPowerLoss(filesFate) };
  }
}

/** A small ext4 whose creation is over when this is: nothing is left for later. */
async function mkfs(device: string): Promise<void> {
  const features = ['-E', 'nodiscard,lazy_itable_init=0,lazy_journal_init=0'];
  await mustRun('mkfs.ext4', ['-q', '-b', '1024', ...features, device]);
}

function writeWhole(device: string, content: Buffer): void {
  const fd = openSync(device, 'r+');
  try {
    for (let done = 0; done < content.length; ) done += writeSync(fd, content, done);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

async function contentOf(device: string): Promise<Buffer> {
  await mustRun('blockdev', ['--flushbufs', device]);
  return readFileSync(device);
}
