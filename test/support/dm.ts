/** Bare device-mapper devices: what faults are made of. */
import { mustRun } from './command.js';
import { deviceBytes } from './devices.js';

const SECTOR_BYTES = 512;

/** One line of a table: so many bytes, then the type and its arguments. */
export interface Segment {
  bytes: number;
  /** Such as `linear /dev/ubda 0`, `error`, `dust /dev/ubda 0 512`. */
  target: string;
}

/** Creates a device, with a uuid that a device of this name always has. Resolves its path. */
export async function createMapped(name: string, segments: Segment[]): Promise<string> {
  await mustRun('dmsetup', ['create', name, '--uuid', `lvmsync-test-${name}`], {
    input: tableOf(segments),
  });
  return `/dev/mapper/${name}`;
}

/** Gives a device another table, whether it is open or not; what is in flight finishes before. */
export async function remap(name: string, segments: Segment[]): Promise<void> {
  await mustRun('dmsetup', ['load', name], { input: tableOf(segments) });
  await mustRun('dmsetup', ['resume', name]);
}

export async function removeMapped(...names: string[]): Promise<void> {
  for (const name of names) await mustRun('dmsetup', ['remove', '--retry', name]);
}

/** Part of another device, from a byte offset on. */
export function linear(device: string, offset: number, bytes: number): Segment {
  return { bytes, target: `linear ${device} ${offset / SECTOR_BYTES}` };
}

/** A device of `bytes` that fails in `[badOffset, badOffset + badBytes)` and else is `device`. */
export function brokenAt(
  device: string,
  bytes: number,
  badOffset: number,
  badBytes: number,
): Segment[] {
  const badEnd = badOffset + badBytes;
  return [
    linear(device, 0, badOffset),
    { bytes: badBytes, target: 'error' },
    linear(device, badEnd, bytes - badEnd),
  ].filter((segment) => segment.bytes > 0);
}

/** A device whose writes and flushes fail, and whose reads do not. */
export function failingWrites(device: string, bytes: number): Segment[] {
  // No seconds up, some down: always down. dm-flakey, Documentation/admin-guide/device-mapper.
  return [{ bytes, target: `flakey ${device} 0 0 1 1 error_writes` }];
}

/** A device whose blocks can be told to fail when they are read: dm-dust. */
export interface DustDevice {
  path: string;
  /** Makes the block at a byte offset of the device fail. */
  addBadBlock(offset: number): Promise<void>;
  heal(): Promise<void>;
}

const DUST_BLOCK_BYTES = 512;

/** Everything of `device` behind its first `skippedBytes`. */
export async function createDust(
  name: string,
  device: string,
  skippedBytes: number,
): Promise<DustDevice> {
  const bytes = (await deviceBytes(device)) - skippedBytes;
  const target = `dust ${device} ${skippedBytes / SECTOR_BYTES} ${DUST_BLOCK_BYTES}`;
  const path = await createMapped(name, [{ bytes, target }]);
  const tell = (...words: string[]) => mustRun('dmsetup', ['message', name, '0', ...words]);
  await tell('enable');
  return {
    path,
    addBadBlock: async (offset) => {
      // It counts from the start of what is beneath (dust_map in the kernel's dm-dust.c).
      const block = Math.floor((skippedBytes + offset) / DUST_BLOCK_BYTES);
      await tell('addbadblock', String(block));
    },
    heal: async () => {
      await tell('clearbadblocks');
    },
  };
}

/** Where byte 0 of a linear device lies on the device beneath it. */
export async function placeBeneath(name: string): Promise<number> {
  const table = await mustRun('dmsetup', ['table', name]);
  const match = /^0 \d+ linear \S+ (\d+)$/.exec(table.trim());
  if (match?.[1] === undefined) throw new Error(`${name} is not one linear piece: ${table}`);
  return Number(match[1]) * SECTOR_BYTES;
}

function tableOf(segments: Segment[]): string {
  let start = 0;
  return segments
    .map(({ bytes, target }) => {
      const line = `${start / SECTOR_BYTES} ${bytes / SECTOR_BYTES} ${target}\n`;
      start += bytes;
      return line;
    })
    .join('');
}
