/** Every command line that the documentation shows, typed as it stands, in an order that makes sense. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type CommandResult, mustRun, runCommand } from '../support/command.js';
import { assertSameDevices, fillDevice } from '../support/devices.js';
import { documentedCommands } from '../support/documented.js';
import { type Receiver, startReceiver } from '../support/hosts.js';
import { kernelTests } from '../support/kernel.js';
import { createGroup, createVolume } from '../support/lvm.js';
import { lvmsyncPath } from '../support/repository.js';
import { startSshd, type TestSshd } from '../support/sshd.js';

const MIB = 1024 * 1024;
const VOLUME_BYTES = 24 * MIB;
const DIRECTORY = '/root/documented';
const DATA = 'backup:/dev/vg/data';

interface Step {
  /** As the documentation has it, or what a reader does in between. */
  type: string;
  /** On the other host. */
  there?: true;
  /** Whether /dev/vg/data is the same on both hosts afterwards. */
  same?: true;
}

/** What writes to the volume, in short. */
const write = (seed: number): Step => ({
  type: `dd if=/dev/urandom of=/srv/data/file${seed} bs=64k count=4 conv=fsync status=none`,
});
const stop: Step = { type: 'umount /srv/data' };
const start: Step = { type: 'mount /srv/data' };
const removeSnapshot: Step = { type: 'lvremove --yes vg/before' };
const takeSnapshot: Step = { type: 'lvcreate --snapshot --size 10G --name before vg/data' };

const STORIES: Record<string, Step[]> = {
  'the classic job': [
    { type: 'lvmsync doctor backup:/dev/vg/data' },
    takeSnapshot,
    { type: `lvmsync copy /dev/vg/before ${DATA}` },
    { type: `lvmsync verify vg/before ${DATA}` },
    write(1),
    stop,
    { type: 'lvmsync diff vg/before' },
    { type: 'lvmsync diff --map vg/before' },
    { type: 'lvmsync diff --link 500M vg/before' },
    { type: `lvmsync /dev/vg/before ${DATA}` },
    { type: `lvmsync verify /dev/vg/data ${DATA}`, same: true },
  ],
  'ways to send changes': [
    start,
    write(2),
    stop,
    { type: `lvmsync vg/before ${DATA}`, same: true },
    start,
    write(3),
    stop,
    { type: `lvmsync --bootstrap vg/before ${DATA}`, same: true },
    start,
    write(4),
    stop,
    { type: 'lvmsync vg/before --stdout > changes' },
    { type: 'lvmsync inspect changes' },
    { type: 'lvmsync --apply changes /dev/vg/data', there: true, same: true },
    { type: 'cp /dev/vg/before /dev/other/data' },
    { type: 'lvmsync vg/before /dev/other/data' },
    { type: 'cmp /dev/vg/data /dev/other/data' },
    start,
    write(5),
    stop,
    { type: `lvmsync --snapback /root/undo vg/before ${DATA}`, same: true },
    { type: 'lvmsync rollback --dry-run /root/undo /dev/vg/data', there: true, same: true },
    { type: 'lvmsync rollback /root/undo /dev/vg/data', there: true },
    { type: `lvmsync verify --repair vg/before ${DATA}` },
    { type: `lvmsync verify --repair /dev/vg/data ${DATA}`, same: true },
    { type: 'lvmsync verify --repair /dev/any backup:/dev/any' },
  ],
  'copies that are watched, and one that makes its target': [
    { type: `lvmsync copy vg/before ${DATA}` },
    { type: `lvmsync copy --progress json vg/before ${DATA} 2>log` },
    { type: `lvmsync copy --progress-fd 3 vg/before ${DATA} 3>progress` },
    { type: 'grep -q percent log && grep -q percent progress' },
    { type: 'lvmsync copy --create vg/before backup:/dev/backup/data' },
    { type: 'lvremove --yes backup/data', there: true },
    { type: 'lvmsync copy --create origin:vg/before /dev/backup/data', there: true },
    start,
    write(6),
    stop,
    { type: 'lvmsync pull origin:vg/before /dev/vg/data', there: true, same: true },
    removeSnapshot,
  ],
  migrations: [
    start,
    { type: `lvmsync migrate vg/data ${DATA}; test $? = 3` },
    { type: 'lvmsync migrate --abort vg/data' },
    {
      type: `lvmsync migrate vg/data ${DATA} --before-cutover 'systemctl stop db && umount /srv/data' --after-cutover 'mount /srv/data && systemctl start db'`,
    },
    { type: 'umount /srv/data', there: true },
    {
      type: `lvmsync migrate vg/data ${DATA} --before-cutover 'systemctl stop db' --after-cutover 'systemctl start db'`,
      same: true,
    },
  ],
  replicas: [
    { type: 'date --set 2026-01-31T11:00:00Z' },
    { type: `lvmsync replicate vg/data ${DATA} --keep 14`, same: true },
    start,
    write(7),
    stop,
    { type: 'date --set 2026-01-31T13:00:00Z' },
    { type: `lvmsync replicate vg/data ${DATA} --keep 14`, same: true },
    { type: 'lvmsync rollback --list /dev/vg/data', there: true },
    { type: 'lvmsync rollback --to 2026-01-31T12:00:00Z /dev/vg/data', there: true },
    {
      type: "lvmsync replicate vg/db backup:/dev/vg/db vg/log backup:/dev/vg/log --pre 'systemctl freeze db' --post 'systemctl thaw db'",
    },
    { type: `lvmsync replicate vg/data ${DATA} --keep 48`, same: true },
  ],
};

kernelTests(import.meta.url, { disks: ['64G', '256M'] }, ([disk, receiverDisk]) => {
  let receiver: Receiver;
  /** This host, as the other one reaches it. */
  let origin: TestSshd;
  let target: string;

  before(async () => {
    receiver = await startReceiver({ name: 'backup', disks: [receiverDisk!] });
    const listenAddress = receiver.address.replace(/\d+$/, '1');
    origin = await startSshd({ listenAddress, port: 22, alias: 'origin' });
    appendFileSync(join(homedir(), '.ssh', 'config'), `Include ${origin.configFile}\n`);
    await createGroup('vg', [disk!], 64 * 1024);
    await receiver.mustRun('vgcreate', ['--quiet', '-s', '64k', 'backup', receiverDisk!]);
    // One kernel has one list of names: over there the group is called vg by links alone.
    await receiver.mustRun('mkdir', ['/dev/vg']);
    for (const name of ['data', 'db', 'log', 'any']) {
      await createVolume('vg', name, VOLUME_BYTES, name.length);
      const size = `${VOLUME_BYTES}b`;
      const args = ['--quiet', '-y', '-W', 'n', '-Z', 'n', '-n', `its-${name}`, '-L', size];
      await receiver.mustRun('lvcreate', [...args, 'backup']);
      await receiver.mustRun('ln', ['-s', `/dev/backup/its-${name}`, `/dev/vg/${name}`]);
    }
    target = await receiver.path('/dev/backup/its-data');
    await receiver.mustRun('ln', ['-s', '/dev/backup/its-any', '/dev/any']);
    symlinkSync('/dev/vg/any', '/dev/any');
    mkdirSync('/dev/other');
    await createVolume('vg', 'other', VOLUME_BYTES);
    symlinkSync('/dev/vg/other', '/dev/other/data');
    mkdirSync(DIRECTORY, { recursive: true });
    mkdirSync('/srv/data', { recursive: true });
    appendFileSync('/etc/fstab', '/dev/vg/data /srv/data ext4 noauto 0 0\n');
    symlinkSync(lvmsyncPath, '/usr/bin/lvmsync');
    writeFileSync('/usr/bin/systemctl', '#!/bin/sh\n');

    await mustRun('mkfs.ext4', ['-q', '-F', '/dev/vg/data']);
    await mustRun('mount', ['/srv/data']);
    await fillDevice(await receiver.path('/dev/backup/its-db'), 9);
  });
  after(async () => {
    await origin.stop();
    await receiver.stop();
  });

  function typeIt({ type, there }: Step): Promise<CommandResult> {
    const script = `cd ${DIRECTORY}; ${type}`;
    if (there) return receiver.run('bash', ['-c', script]);
    return runCommand('bash', ['-c', script]);
  }

  for (const [title, steps] of Object.entries(STORIES)) {
    test(`when a reader types what is documented then it works: ${title}`, async () => {
      for (const step of steps) {
        const { status, stdout, stderr } = await typeIt(step);
        assert.equal(status, 0, `${step.type}: ${stdout}${stderr}`);
        if (step.same) {
          await mustRun('blockdev', ['--flushbufs', '/dev/vg/data']);
          await assertSameDevices('/dev/vg/data', target);
        }
      }
    });
  }

  test('when a command line is documented then it is typed above, and nothing else of lvmsync is', async () => {
    const typed = Object.values(STORIES)
      .flat()
      .map(({ type }) => type.replace('; test $? = 3', ''))
      .filter((line) => line.startsWith('lvmsync '));
    const documented = await documentedCommands();
    assert.deepEqual([...new Set(typed)].sort(), [...documented].sort());
  });
});
