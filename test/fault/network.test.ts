/** A network that loses, delays or forgets, between the built-in SSH and a real sshd. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { mustRun } from '../support/command.js';
import { assertSameDevices, compareDevices, seededWrites, writeAt } from '../support/devices.js';
import { type Receiver, startReceiver } from '../support/hosts.js';
import { kernelTests } from '../support/kernel.js';
import { createGroup, createSnapshot, createVolume, removeGroup } from '../support/lvm.js';
import { lvmsync, lvmsyncOk } from '../support/lvmsync.js';
import {
  createTarget,
  createTargetGroup,
  receiversEnd,
  removeTarget,
  type Target,
} from '../support/transfer.js';
import { appendRow, assertRow } from './matrix.js';

const MIB = 1024 * 1024;
/** The sender's end of the pair that leads to the first receiver. */
const LINK = 'veth1';
const TRANSPORT = 4;

const RIG = { disks: ['96M', '64M'], modules: ['sch_netem'] };

kernelTests(import.meta.url, RIG, ([disk, receiverDisk]) => {
  let receiver: Receiver;
  let origin: string;
  let snapshot: string;
  before(async () => {
    await createGroup('near', [disk!]);
    receiver = await startReceiver({ disks: [receiverDisk!] });
    await createTargetGroup(receiver, receiverDisk!);
    origin = await createVolume('near', 'origin', 12 * MIB, 1);
    snapshot = await createSnapshot('near', 'origin', 'changes', 16 * MIB);
    writeAt(origin, 2, seededWrites(2, 300, 32 * 1024, 12 * MIB));
  });
  after(async () => {
    await receiver.stop();
    await removeGroup('near');
  });

  /** A copy of the origin as it was, which a test is the only one to change. */
  async function freshTarget(): Promise<Target> {
    return createTarget(receiver, snapshot);
  }

  const shape = (...words: string[]) =>
    mustRun('tc', ['qdisc', 'replace', 'dev', LINK, 'root', 'netem', ...words]);
  const unshape = () => mustRun('tc', ['qdisc', 'del', 'dev', LINK, 'root']);

  /** Sends slowly enough to be struck in the middle, strikes, and judges what comes of it. */
  async function struck(
    fault: string,
    strike: () => Promise<unknown>,
    restore: () => Promise<unknown>,
    options: string[] = ['--retries', '0'],
  ): Promise<void> {
    const target = await freshTarget();
    await shape('rate', '4mbit'); // 20 s for all of it
    const run = lvmsync(['--timeout', '20', ...options, snapshot, target.destination]);
    await someHasArrived(target, run);
    await strike();
    const { status, stderr } = await run;
    await restore();
    await judge(fault, target, status, stderr);
  }

  async function judge(
    fault: string,
    target: Target,
    status: number | null,
    stderr: string,
  ): Promise<void> {
    await receiversEnd();
    const { differingBlocks } = await compareDevices(origin, target.path);
    const succeeded = status === 0;
    await lvmsyncOk([snapshot, target.destination]);
    const healed = (await compareDevices(origin, target.path)).differingBlocks === 0;
    const row = {
      kind: 'ssh-4',
      fault,
      outcome: succeeded ? 'succeeded' : 'failed',
      exits: [status ?? 'signal'],
      message: /^FATAL ERROR: (.*)$/m.exec(stderr)?.[1] ?? '',
      target: differingBlocks === 0 ? 'new' : 'torn',
      healed,
      falseSuccess: succeeded && differingBlocks > 0,
      lostData: false,
    } as const;
    appendRow(row);
    assertRow(row);
    if (!succeeded) {
      assert.equal(status, TRANSPORT, stderr);
      assert.match(stderr, /^FATAL ERROR: .*(nothing came|lost|ended|connection|stopped).*\n {2}/m);
    }
    await assertSameDevices(origin, target.path);
    await removeTarget(receiver, target);
  }

  /** Resolves with the number of writes to the target so far. */
  async function writesTo(target: Target): Promise<number> {
    const print = 'cat /sys/dev/block/$(stat -Lc %Hr:%Lr "$1")/stat';
    const stats = await receiver.mustRun('sh', ['-c', print, 'sh', target.remotePath]);
    return Number(stats.trim().split(/\s+/)[4]);
  }

  async function someHasArrived(target: Target, run: Promise<{ stderr: string }>): Promise<void> {
    let said: string | undefined;
    void run.then(({ stderr }) => {
      said = stderr;
    });
    const before = await writesTo(target);
    while ((await writesTo(target)) === before) {
      assert.equal(said, undefined, 'the run ended before anything had arrived');
      await delay(100);
    }
  }

  test('when everything is dropped in the middle of a transfer then the sender gives up in time', async () => {
    await struck('everything dropped', () => shape('loss', '100%'), unshape);
  });

  test('when the link goes down on the receiving side and up again then the run says so or succeeds', async () => {
    const link = (state: string) => receiver.mustRun('ip', ['link', 'set', 'eth0', state]);
    await struck(
      'link down',
      () => link('down'),
      async () => {
        await link('up');
        await unshape();
      },
    );
  });

  test('when the receiver forgets the connection then its half that is open is noticed', async () => {
    await struck(
      'half-open connection',
      async () => {
        await shape('loss', '100%');
        await receiver.sshd.cutConnections(); // of which the sender hears nothing
      },
      unshape,
    );
  });

  test('when the connection is lost once and made again then the run succeeds by itself', async () => {
    await struck(
      'connection cut, retried',
      async () => {
        await receiver.sshd.cutConnections();
        await unshape();
      },
      async () => {},
      ['--retries', '3'],
    );
  });

  for (const [fault, words] of [
    ['5% loss', ['loss', '5%']],
    ['200 ms delay', ['delay', '100ms']],
  ] as const) {
    test(`when the network has ${fault} then the transfer succeeds`, async () => {
      const target = await freshTarget();
      await shape(...words);
      const back = ['qdisc', 'replace', 'dev', 'eth0', 'root', 'netem', ...words];
      await receiver.mustRun('tc', back);
      const { status, stderr } = await lvmsync([snapshot, target.destination]);
      await unshape();
      await receiver.mustRun('tc', ['qdisc', 'del', 'dev', 'eth0', 'root']);
      assert.equal(status, 0, stderr);
      await judge(fault, target, status, stderr);
    });
  }
});
