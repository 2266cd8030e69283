/** A volume in use, and what a migration needs of both hosts. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { endProcess, mustRun } from './command.js';
import type { Receiver } from './hosts.js';
import { checkRecords } from './ordered-writer.js';
import { lvmsyncPath } from './repository.js';

const MOUNT = '/run/origin';
const FILE = `${MOUNT}/data`;
const ACKNOWLEDGED = '/run/acknowledged';
const PID = '/run/writer.pid';
/** For a shell: a killed process lives on for a moment, and keeps its files open. */
const END_WRITER = `pid=$(cat ${PID}); kill -9 $pid 2>/dev/null; while kill -0 $pid 2>/dev/null; do sleep 0.05; done`;
const UNMOUNT = `! mountpoint -q ${MOUNT} || umount ${MOUNT}`;
const SLOTS = 2048;
const SLOT_BYTES = 4096;

export interface BusyVolume {
  /** A shell command that ends the writer and unmounts the volume; may be run again. */
  readonly stop: string;
  /** Checks a copy of the volume: fsck, every acknowledged record. Resolves how many there are. */
  check(copy: string): Promise<number>;
  end(): Promise<void>;
}

/** Puts a file system on a volume, and a writer to work on it. */
export async function useVolume(path: string, seed: number): Promise<BusyVolume> {
  await mustRun('mkfs.ext4', ['-q', '-F', path]);
  mkdirSync(MOUNT, { recursive: true });
  await mustRun('mount', [path, MOUNT]);
  writeFileSync(FILE, Buffer.alloc(SLOTS * SLOT_BYTES));
  rmSync(ACKNOWLEDGED, { force: true });
  const writer = await startWriter(FILE, seed);
  return {
    stop: `${END_WRITER}; ${UNMOUNT}`,
    async check(copy) {
      await mustRun('e2fsck', ['-f', '-n', copy]);
      const mount = '/run/copy';
      mkdirSync(mount, { recursive: true });
      await mustRun('mount', ['-o', 'ro', copy, mount]);
      try {
        return checkRecords(`${mount}/data`, ACKNOWLEDGED, seed);
      } finally {
        await mustRun('umount', [mount]);
      }
    },
    async end() {
      await endProcess(writer);
      await mustRun('sh', ['-c', UNMOUNT]);
    },
  };
}

/** Has the writer work on a volume itself, without a file system. */
export async function useBareVolume(path: string, seed: number): Promise<BusyVolume> {
  rmSync(ACKNOWLEDGED, { force: true });
  const writer = await startWriter(path, seed);
  return {
    stop: END_WRITER,
    check: async (copy) => checkRecords(copy, ACKNOWLEDGED, seed),
    end: () => endProcess(writer),
  };
}

async function startWriter(file: string, seed: number): Promise<ChildProcess> {
  const program = fileURLToPath(new URL('ordered-writer.js', import.meta.url));
  const writer = spawn(
    process.execPath,
    [program, file, String(SLOTS), ACKNOWLEDGED, String(seed)],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  await once(writer, 'spawn');
  writeFileSync(PID, String(writer.pid));
  while ((statSync(ACKNOWLEDGED, { throwIfNoEntry: false })?.size ?? 0) < 100) await delay(10);
  return writer;
}

/** An empty volume on the receiver. */
export async function createBlankTarget(receiver: Receiver, bytes: number, name = 'target') {
  const size = ['-L', `${bytes}b`];
  await receiver.mustRun('lvcreate', [
    ...['--quiet', '-y', '-W', 'n', '-Z', 'n', '-n', name],
    ...[...size, 'far'],
  ]);
  const remotePath = `/dev/far/${name}`;
  const path = await receiver.path(remotePath);
  return { destination: `${receiver.name}:${remotePath}`, remotePath, path };
}

/** All volumes of a group with their tags and sizes: what a migration has to leave as it was. */
export function listVolumes(group: string): Promise<string> {
  return mustRun('lvs', ['--noheadings', '-a', '-o', 'lv_name,lv_size,lv_tags,origin', group]);
}

export async function assertNoSnapshots(group: string): Promise<void> {
  assert.doesNotMatch(await listVolumes(group), /lvmsync/);
}

/** Runs a migration, and something at each line that it says. */
export async function migrateWith(
  args: string[],
  onLine: (line: string, child: ChildProcess) => void,
): Promise<{ status: number | null; stderr: string }> {
  const child = spawn(process.execPath, [lvmsyncPath, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  let seen = 0;
  child.stderr.on('data', (data: Buffer) => {
    stderr += data;
    const lines = stderr.split('\n').slice(0, -1);
    for (const line of lines.slice(seen)) onLine(line, child);
    seen = lines.length;
  });
  const [status] = await once(child, 'close');
  return { status, stderr };
}
