import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { mustRun, runCommand } from './command.js';
import { assertSameDevices, copyDevice, deviceBytes } from './devices.js';
import type { Receiver } from './hosts.js';
import { lvmsyncOk } from './lvmsync.js';

/** The receiver's volume group that targets are made in. */
const TARGET_GROUP = 'far';

/** A volume of the receiver's to send to. */
export interface Target {
  /** As lvmsync takes it: `receiver:/dev/far/name`. */
  destination: string;
  /** On the receiver. */
  remotePath: string;
  /** By which the sender's side reads it, to compare. */
  path: string;
}

/** Makes the receiver's volume group on one of its disks. */
export async function createTargetGroup(receiver: Receiver, disk: string): Promise<void> {
  await receiver.mustRun('vgcreate', ['--quiet', '-s', '64k', TARGET_GROUP, disk]);
}

/** Makes a volume on the receiver, as large as `source` and holding the same bytes. */
export async function createTarget(
  receiver: Receiver,
  source: string,
  name = 'target',
): Promise<Target> {
  const size = ['-L', `${await deviceBytes(source)}b`];
  const args = ['--quiet', '-y', '-W', 'n', '-Z', 'n', '-n', name, ...size, TARGET_GROUP];
  await receiver.mustRun('lvcreate', args);
  const remotePath = `/dev/${TARGET_GROUP}/${name}`;
  const path = await receiver.path(remotePath);
  await copyDevice(source, path);
  return { destination: `${receiver.name}:${remotePath}`, remotePath, path };
}

export async function removeTarget(receiver: Receiver, target: Target): Promise<void> {
  await receiver.mustRun('lvremove', ['--quiet', '--force', target.remotePath]);
}

/** Resolves once no target has a receiver: that of a broken connection waits for it for a while. */
export async function receiversEnd(): Promise<void> {
  const isThere = () => runCommand('pgrep', ['-f', `lvmsync.* --apply - .*/dev/${TARGET_GROUP}/`]);
  while ((await isThere()).status === 0) await delay(100);
}

/**
 * Sends a snapshot's changes over SSH with the real command line, expects success, and compares
 * the whole target with the origin. Resolves how many bytes it says it sent.
 */
export async function syncAndCompare(
  snapshot: string,
  origin: string,
  target: Target,
  options: string[] = [],
): Promise<number> {
  const result = await lvmsyncOk([...options, snapshot, target.destination]);
  const sent = /^Transferred (\d+) bytes/m.exec(result.stderr)?.[1];
  assert.ok(sent !== undefined, result.stderr);
  await assertSameDevices(origin, target.path);
  return Number(sent);
}

/** SHA-256 of a whole device, read from the disk rather than from the page cache. */
export async function deviceDigest(path: string): Promise<string> {
  await mustRun('blockdev', ['--flushbufs', path]);
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(1024 * 1024);
  const fd = openSync(path, 'r');
  try {
    for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer)) {
      hash.update(buffer.subarray(0, count));
    }
  } finally {
    closeSync(fd);
  }
  return hash.digest('hex');
}
