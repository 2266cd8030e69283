// What scripts/demo runs, with the same helpers as the tests:
//   node scripts/demo-transfer.js kernel                    in the kernel rig's guest
//   node scripts/demo-transfer.js host GROUP DISK DISK      on this machine's LVM
//   node scripts/demo-transfer.js files DIRECTORY           on image files
import { closeSync, existsSync, openSync, readSync, truncateSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../dist-test/support/command.js';
import { dataChunk, storeBytesFor, writeStore } from '../dist-test/support/cow-store.js';
import {
  compareDevices,
  copyDevice,
  fillDevice,
  seededWrites,
  writeAt,
} from '../dist-test/support/devices.js';
import { startReceiver } from '../dist-test/support/hosts.js';
import {
  createGroup,
  createSnapshot,
  createVolume,
  snapshotStatus,
} from '../dist-test/support/lvm.js';
import { lvmsyncPath } from '../dist-test/support/repository.js';
import { startSshd } from '../dist-test/support/sshd.js';

const MIB = 1024 * 1024;
const VOLUME_BYTES = 256 * MIB;
const STORE_BYTES = 64 * MIB;
const CHUNK_BYTES = 4096;
const DATA_SEED = 1;
const WRITES_SEED = 2;

const writes = seededWrites(WRITES_SEED, 400, 64 * 1024, VOLUME_BYTES);
const mib = (bytes) => `${(bytes / MIB).toFixed(1)} MiB`;
const percent = (part, whole) => `${((100 * part) / whole).toFixed(1)}%`;
const say = (text) => console.log(text);

/**
 * A place to do it in: `origin` and `target` as this process opens them; `send` is the command
 * line of lvmsync; `prepare` takes the snapshot and makes the copy, `change` writes to the origin
 * and resolves how many chunks that touched.
 */
const places = {
  async kernel() {
    say(`This runs under Linux ${release()} with device-mapper, booted as a process.`);
    const receiver = await startReceiver({ disks: ['/dev/ubdb'] });
    say('The other host, "receiver", has its own network address, its own disk and its own sshd.');
    return onVolumes('demo', '/dev/ubda', {
      target: await receiver.path('/dev/ubdb'),
      options: [],
      destination: `${receiver.name}:/dev/ubdb`,
      stop: () => receiver.stop(),
    });
  },

  async host(group, disk, targetDisk) {
    say(`This runs on this machine's own LVM: volume group ${group} on ${disk}, a file.`);
    const sshd = await startSshd();
    say(`"receiver" is this machine again, by SSH; the copy there is ${targetDisk}.`);
    return onVolumes(group, disk, {
      target: targetDisk,
      options: ['--ssh-config', sshd.configFile],
      destination: `${sshd.alias}:${targetDisk}`,
      stop: () => sshd.stop(),
    });
  },

  async files(directory) {
    say('This runs on files: no LVM and no kernel snapshot takes part. The exception store, which');
    say("is the kernel's record of changes, is written by this demo in the kernel's format.");
    const [origin, target, store] = ['origin', 'copy', 'store'].map((name) =>
      join(directory, name),
    );
    for (const path of [origin, target]) {
      writeFileSync(path, '');
      truncateSync(path, VOLUME_BYTES);
    }
    const sshd = existsSync('/usr/sbin/sshd') ? await startSshd() : undefined;
    if (sshd) say('"receiver" is this machine again, by SSH.');
    else say('There is no sshd here, so the copy is written directly, without SSH.');
    return {
      origin,
      target,
      async prepare() {
        await fillDevice(origin, DATA_SEED);
        say(`\n1. ${origin}: ${mib(VOLUME_BYTES)} of data`);
        await copyDevice(origin, target);
        say(`2. ${target}: the copy on the other side, made once, whole`);
      },
      async change() {
        const chunks = chunksOf(writes);
        const exceptions = chunks.map((chunk, index) => [chunk, dataChunk(CHUNK_BYTES, index)]);
        const storeBytes = storeBytesFor(CHUNK_BYTES, exceptions.length + 1);
        const file = openSync(origin, 'r');
        const oldData = (chunk) => {
          const data = Buffer.alloc(CHUNK_BYTES);
          readSync(file, data, 0, CHUNK_BYTES, chunk * CHUNK_BYTES);
          return data;
        };
        writeStore(store, { chunkBytes: CHUNK_BYTES, storeBytes, exceptions, oldData });
        closeSync(file);
        writeAt(origin, WRITES_SEED, writes);
        return chunks.length;
      },
      send: [
        ...(sshd ? ['--ssh-config', sshd.configFile] : []),
        ...['--cow-device', store, '--data-source', origin],
        sshd ? `${sshd.alias}:${target}` : target,
      ],
      stop: async () => sshd?.stop(),
    };
  },
};

function onVolumes(group, disk, { target, options, destination, stop }) {
  const origin = `/dev/${group}/data`;
  const snapshot = `/dev/${group}/before`;
  return {
    origin,
    target,
    async prepare() {
      await createGroup(group, [disk]);
      await createVolume(group, 'data', VOLUME_BYTES, DATA_SEED);
      say(`\n1. ${origin}: a logical volume with ${mib(VOLUME_BYTES)} of data`);
      await createSnapshot(group, 'data', 'before', STORE_BYTES, CHUNK_BYTES);
      await copyDevice(snapshot, target);
      say(
        `2. ${snapshot}: a snapshot of it; the other host's disk has a full copy from that moment`,
      );
    },
    async change() {
      writeAt(origin, WRITES_SEED, writes);
      const { usedSectors, metadataSectors } = await snapshotStatus(snapshot);
      return ((usedSectors - metadataSectors) * 512) / CHUNK_BYTES;
    },
    send: [...options, snapshot, destination],
    stop,
  };
}

/** The chunks that writes touch, in the order in which they are first touched. */
function chunksOf(extents) {
  const chunks = new Set();
  for (const { offset, length } of extents) {
    const end = Math.ceil((offset + length) / CHUNK_BYTES);
    for (let chunk = Math.floor(offset / CHUNK_BYTES); chunk < end; chunk++) chunks.add(chunk);
  }
  return [...chunks];
}

async function demonstrate(place) {
  await place.prepare();

  const changedBytes = (await place.change()) * CHUNK_BYTES;
  say(`3. ${writes.length} writes to the data change ${mib(changedBytes)} of it, here and there`);
  const before = await compareDevices(place.origin, place.target);
  if (before.differingBlocks === 0) throw new Error('nothing differs: nothing can be shown');

  say('4. send what changed:');
  say(`     $ lvmsync ${place.send.join(' ')}`);
  const startedAt = performance.now();
  const run = await runCommand(process.execPath, [lvmsyncPath, ...place.send]);
  const seconds = (performance.now() - startedAt) / 1000;
  for (const line of `${run.stdout}${run.stderr}`.trimEnd().split('\n')) say(`     ${line}`);
  if (run.status !== 0) throw new Error(`lvmsync ended with status ${run.status}`);

  const after = await compareDevices(place.origin, place.target);
  say(`5. compare both sides whole, ${mib(after.bytes)} each`);
  const sentBytes = Number(/^Transferred (\d+) bytes/m.exec(run.stderr)?.[1]);
  say('');
  say(`   the volume          ${mib(after.bytes)}`);
  say(`   changed             ${mib(changedBytes)} (${percent(changedBytes, after.bytes)})`);
  say(`   sent                ${mib(sentBytes)} in ${seconds.toFixed(1)} s`);
  say(`   differed before     ${before.differingBlocks} blocks of 4 KiB`);
  say(`   differ now          ${after.differingBlocks || 'none'}`);
  say('');
  if (after.differingBlocks > 0) throw new Error('the two sides differ');
  say('The two sides are identical.');
}

// Leave by way of exit, which takes the sshd and its files along.
for (const [signal, number] of Object.entries({ SIGHUP: 1, SIGINT: 2, SIGTERM: 15 })) {
  process.on(signal, () => process.exit(128 + number));
}
const [mode, ...args] = process.argv.slice(2);
const place = await places[mode](...args);
try {
  await demonstrate(place);
} catch (error) {
  console.error(`demo: FAILED: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  await place.stop();
}
