/**
 * A device that remembers every write and flush (dm-log-writes), and what a power loss could have
 * left of it at any moment. The log's layout is that of struct log_write_super and log_write_entry
 * in the kernel's drivers/md/dm-log-writes.c; all numbers are little-endian.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { mustRun } from './command.js';
import { deviceBytes } from './devices.js';
import { createMapped, removeMapped } from './dm.js';

const MAGIC = 0x6a736677736872n;
const VERSION = 1n;
const FLAG = { flush: 1, fua: 2, discard: 4, mark: 8 } as const;
const SECTOR_BYTES = 512;

/** One thing that happened to the device, in the order in which the device saw it end. */
export type LogEntry =
  | { type: 'write'; offset: number; data: Buffer; fua: boolean }
  | { type: 'discard'; offset: number; length: number }
  | { type: 'flush' }
  | { type: 'mark'; name: string };

export interface LogWritesDevice {
  path: string;
  /** Puts a name into the log. */
  mark(name: string): Promise<void>;
  /** Removes the device, and resolves all that happened to it. */
  finish(): Promise<LogEntry[]>;
}

/** Makes a device of `device` whose log is written to `logDevice`. */
export async function createLogWrites(
  name: string,
  device: string,
  logDevice: string,
): Promise<LogWritesDevice> {
  const bytes = await deviceBytes(device);
  const path = await createMapped(name, [{ bytes, target: `log-writes ${device} ${logDevice}` }]);
  return {
    path,
    mark: async (text) => {
      await mustRun('dmsetup', ['message', name, '0', 'mark', text]);
    },
    async finish() {
      await removeMapped(name); // the log is complete only when its device is gone
      await mustRun('blockdev', ['--flushbufs', logDevice]);
      return readLog(logDevice);
    },
  };
}

function readLog(logDevice: string): LogEntry[] {
  const fd = openSync(logDevice, 'r');
  try {
    const read = (offset: number, length: number) => {
      const bytes = Buffer.alloc(length);
      if (readSync(fd, bytes, 0, length, offset) !== length) throw new Error('the log is cut');
      return bytes;
    };
    const head = read(0, SECTOR_BYTES);
    if (head.readBigUInt64LE(0) !== MAGIC || head.readBigUInt64LE(8) !== VERSION) {
      throw new Error(`${logDevice} holds no log of dm-log-writes`);
    }
    const entryCount = Number(head.readBigUInt64LE(16));
    const unit = head.readUInt32LE(24); // bytes of a sector, and of an entry's header
    const entries: LogEntry[] = [];
    let at = unit;
    for (let i = 0; i < entryCount; i++) {
      const header = read(at, unit);
      const [sector, sectors, flags, dataBytes] = [0, 8, 16, 24].map((position) =>
        Number(header.readBigUInt64LE(position)),
      ) as [number, number, number, number];
      at += unit;
      const [offset, length] = [sector * unit, sectors * unit];
      if (flags & FLAG.mark) {
        entries.push({ type: 'mark', name: header.toString('latin1', 32, 32 + dataBytes) });
        continue;
      }
      if (flags & FLAG.flush) entries.push({ type: 'flush' });
      if (flags & FLAG.discard) {
        entries.push({ type: 'discard', offset, length });
      } else if (length > 0) {
        entries.push({
          type: 'write',
          offset,
          data: read(at, length),
          fua: (flags & FLAG.fua) !== 0,
        });
        at += length;
      }
    }
    if (entries.at(-1)?.type !== 'mark') throw new Error('the log ran out of space');
    return entries;
  } finally {
    closeSync(fd);
  }
}

/** A part of the device that has a cache of its own, as if it were a disk of its own. */
export interface Part {
  name: string;
  offset: number;
  bytes: number;
}

/** A disk with a volatile cache: what is in it can reach the medium or be lost, write by write. */
export interface Disk {
  /** What a power loss cannot take away. */
  durable: Buffer;
  /** Whether there are writes that it could. */
  hasVolatile(): boolean;
  /** The content after a power loss now; `survives` is asked for every write in the cache. */
  afterPowerLoss(survives: () => boolean): Buffer;
}

export interface Replay {
  /** Index of the next entry. */
  readonly position: number;
  disk(part: string): Disk;
  /** Takes the next entry; undefined at the log's end. */
  step(): LogEntry | undefined;
}

/** The write, if it is one, that follows a flush. */
export interface NextWrite {
  part: string;
  fua: boolean;
}

/**
 * Plays a log onto blank disks, one for each part. A flush makes durable what was written before it
 * to the part that it was meant for. The log does not say which that was; `flushedPart` tells it by
 * what comes next.
 */
export function createReplay(
  entries: LogEntry[],
  parts: Part[],
  flushedPart: (next: NextWrite | undefined) => string,
): Replay {
  const disks = new Map(parts.map((part) => [part.name, createDisk(part)]));
  let position = 0;

  function disk(name: string): WritableDisk {
    const found = disks.get(name);
    if (found === undefined) throw new Error(`there is no part ${name}`);
    return found;
  }

  function partAt(offset: number): Part {
    const part = parts.find((each) => offset >= each.offset && offset < each.offset + each.bytes);
    if (part === undefined) throw new Error(`a write at ${offset} is in no part`);
    return part;
  }

  function nextWrite(): NextWrite | undefined {
    const entry = entries.slice(position).find(({ type }) => type !== 'mark');
    if (entry?.type !== 'write') return undefined;
    return { part: partAt(entry.offset).name, fua: entry.fua };
  }

  return {
    get position() {
      return position;
    },
    disk,
    step() {
      const entry = entries[position++];
      if (entry?.type === 'flush') {
        disk(flushedPart(nextWrite())).flush();
      } else if (entry?.type === 'write' || entry?.type === 'discard') {
        const part = partAt(entry.offset);
        const data = entry.type === 'write' ? entry.data : Buffer.alloc(entry.length);
        const fua = entry.type === 'write' && entry.fua;
        disk(part.name).write(entry.offset - part.offset, data, fua);
      }
      return entry;
    },
  };
}

interface WritableDisk extends Disk {
  write(offset: number, data: Buffer, fua: boolean): void;
  flush(): void;
}

function createDisk({ bytes }: Part): WritableDisk {
  const durable = Buffer.alloc(bytes);
  let cache: { offset: number; data: Buffer }[] = [];
  return {
    durable,
    hasVolatile: () => cache.length > 0,
    write(offset, data, fua) {
      if (fua) data.copy(durable, offset);
      else cache.push({ offset, data });
    },
    flush() {
      for (const { offset, data } of cache) data.copy(durable, offset);
      cache = [];
    },
    afterPowerLoss(survives) {
      const content = Buffer.from(durable);
      for (const { offset, data } of cache) if (survives()) data.copy(content, offset);
      return content;
    },
  };
}
