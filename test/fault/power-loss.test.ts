/**
 * The receiver loses its power. Its target and the file system with its snapback are two disks with
 * volatile caches; whatever of those caches was lost or kept, at any moment of the run, the target
 * can be put back to what it was, and once the run has said that it succeeded the target is new.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { createJsEngine } from '#lvmsync/block/js-engine.js';
import { LvmsyncError } from '#lvmsync/errors.js';
import { applyStream } from '#lvmsync/receive/apply.js';
import { streamSource } from '#lvmsync/transport/byte-source.js';
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
import { createRandom, type Random } from '../support/random.js';
import { lvmsyncPath } from '../support/repository.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const VOLUME_BYTES = 8 * MIB;
const FILES_BYTES = 16 * MIB;

const TARGET: Part = { name: 'target', offset: 0, bytes: VOLUME_BYTES };
const FILES: Part = { name: 'files', offset: VOLUME_BYTES, bytes: FILES_BYTES };

/** Both disks at one moment, after the power has come back. */
interface Remains {
  target: Buffer;
  files: Buffer;
}

const disks = ['40M', '24M', '96M', '16M'];
const modules = ['dm-log-writes'];
kernelTests(import.meta.url, { disks, modules }, ([lvmDisk, disk, logDisk, replayDisk]) => {
  let directory: string;
  let rsh: string;
  let origin: string;
  let snapshot: string;
  let old: Buffer;
  let fresh: Buffer;
  const engine = createJsEngine();

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'lvmsync-power-'));
    rsh = await createDirectRsh(directory);
    await mkdir(join(directory, 'files'));
    await mkdir(join(directory, 'remains'));
    await createGroup('near', [lvmDisk!]);
    origin = await createVolume('near', 'origin', VOLUME_BYTES, 1);
    snapshot = await createSnapshot('near', 'origin', 'changes', 12 * MIB);
    // Many small extents, so that there are many records, and some long ones.
    const writes = Array.from({ length: 700 }, (_, i) => ({ offset: 8 * KIB * i, length: 512 }));
    writeAt(origin, 2, [...writes, ...seededWrites(2, 6, 256 * KIB, VOLUME_BYTES)]);
    old = await contentOf(snapshot);
    fresh = await contentOf(origin);
    assert.ok(!old.equals(fresh));
  });
  after(async () => {
    await removeGroup('near');
    await rm(directory, { recursive: true, force: true });
  });

  /** Runs a transfer onto recorded disks; resolves everything that happened to them. */
  async function recordRun(options: string[]): Promise<LogEntry[]> {
    const device = await createLogWrites('recorded', disk!, logDisk!);
    const target = await createMapped('target', [linear(device.path, TARGET.offset, TARGET.bytes)]);
    const files = await createMapped('files', [linear(device.path, FILES.offset, FILES.bytes)]);
    await copyDevice(snapshot, target);
    await mkfs(files);
    const place = join(directory, 'files');
    // Nothing but the run itself is to commit the journal.
    await mustRun('mount', ['-o', 'commit=900', files, place]);
    await mustRun('sync', []);
    await device.mark('begin');
    const snapback = join(place, 'snapback');
    await lvmsyncOk([
      ...['-e', rsh, '--remote-command', lvmsyncPath, '--snapback', snapback, ...options],
      ...[snapshot, `receiver:${target}`],
    ]);
    await device.mark('acknowledged');
    await assertSameDevices(origin, target);
    await mustRun('umount', [place]);
    await removeMapped('target', 'files');
    return device.finish();
  }

  /** Mounts what is left of the files, as a receiver that starts again would, and puts back. */
  async function rollBack({ target, files }: Remains): Promise<Buffer> {
    await writeFile(replayDisk!, files);
    const place = join(directory, 'remains');
    await mustRun('mount', [replayDisk!, place]);
    const snapback = join(place, 'snapback');
    const saved = existsSync(snapback) ? readFileSync(snapback) : Buffer.alloc(0);
    await mustRun('umount', [place]);
    if (saved.length === 0) return target;

    const path = join(directory, 'target');
    await writeFile(path, target);
    const input = streamSource(Readable.from([saved]), 'the snapback');
    await applyStream({ input, targetPath: path, engine }).catch((error: unknown) => {
      // What its last, cut record saves had not been overwritten yet.
      if (!(error instanceof LvmsyncError && error.code === 'STREAM_TRUNCATED')) throw error;
    });
    return readFileSync(path);
  }

  for (const [protocol, seed] of [
    ['3', 31],
    ['4', 41],
  ] as const) {
    test(`PROTO[${protocol}]: when the power fails at any flush or between then the snapback restores the target`, async () => {
      const entries = await recordRun(['--protocol', protocol]);
      const random = createRandom(seed);
      const counts = { moments: 0, flushes: 0, remains: 0, changed: 0 };

      await eachMoment(entries, async (disks, acknowledged) => {
        counts.moments++;
        for (const remains of possibleRemains(disks, random)) {
          counts.remains++;
          if (!remains.target.equals(old)) counts.changed++;
          const where = `moment ${counts.moments}, remains ${counts.remains}`;
          if (acknowledged) assert.ok(remains.target.equals(fresh), `not new: ${where}`);
          assert.ok((await rollBack(remains)).equals(old), `not restored: ${where}`);
        }
      });
      assert.ok(counts.moments > 10, `only ${counts.moments} moments`);
      assert.ok(counts.changed > 10, `the target had changed in ${counts.changed} cases only`);
      console.error(JSON.stringify(counts));
    });
  }
});

/**
 * Calls back right before and right after every flush from the beginning of the run on, when there
 * is most and least in the caches.
 */
async function eachMoment(
  entries: LogEntry[],
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
    if (running && flush) await look(disks, acknowledged);
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

/** What a power loss now could leave: the extremes of both caches, and one mixture of both. */
function* possibleRemains({ target, files }: Disks, random: Random): Generator<Remains> {
  const all = () => true;
  const none = () => false;
  const some = () => random.chance(0.5);
  const fates = [
    [none, none],
    [all, none],
    [none, all],
    [some, some],
  ] as const;
  for (const [index, [targetFate, filesFate]] of fates.entries()) {
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

async function contentOf(device: string): Promise<Buffer> {
  await mustRun('blockdev', ['--flushbufs', device]);
  return readFileSync(device);
}
