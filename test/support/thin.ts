/** Thin volumes of bare device-mapper. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { mustRun } from './command.js';
import { createMapped, linear, removeMapped } from './dm.js';

const MIB = 1024 * 1024;
const METADATA_BYTES = 4 * MIB;
const SECTOR_BYTES = 512;

export interface ThinPool {
  /** Makes a volume of which nothing is allocated. Resolves its path. */
  createVolume(name: string, bytes: number): Promise<string>;
  /** How many chunks hold data, of all volumes together. */
  usedChunks(): Promise<number>;
  remove(): Promise<void>;
}

/** A pool of `bytes` on `device`, which new chunks are zeroed in as LVM's default has it. */
export async function createThinPool(
  name: string,
  device: string,
  bytes: number,
  chunkBytes: number,
): Promise<ThinPool> {
  const fd = openSync(device, 'r+');
  writeSync(fd, Buffer.alloc(MIB)); // a blank superblock makes a new pool
  closeSync(fd);
  const metadata = await createMapped(`${name}-meta`, [linear(device, 0, METADATA_BYTES)]);
  const data = await createMapped(`${name}-data`, [linear(device, METADATA_BYTES, bytes)]);
  const target = `thin-pool ${metadata} ${data} ${chunkBytes / SECTOR_BYTES} 0`;
  const pool = await createMapped(name, [{ bytes, target }]);
  const volumes: string[] = [];
  return {
    async createVolume(volume, volumeBytes) {
      const id = volumes.length;
      await mustRun('dmsetup', ['message', name, '0', `create_thin ${id}`]);
      volumes.push(volume);
      return createMapped(volume, [{ bytes: volumeBytes, target: `thin ${pool} ${id}` }]);
    },
    async usedChunks() {
      const status = await mustRun('dmsetup', ['status', name]);
      const match = /^0 \d+ thin-pool \d+ \d+\/\d+ (\d+)\//.exec(status.trim());
      if (match?.[1] === undefined) throw new Error(`${name} is not a pool: ${status}`);
      return Number(match[1]);
    },
    remove: () => removeMapped(...volumes, name, `${name}-data`, `${name}-meta`),
  };
}
