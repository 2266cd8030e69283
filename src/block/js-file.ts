import { close, constants, fsync, open, read, write } from 'node:fs';
import { promisify } from 'node:util';
import type { Batch } from './batch.js';
import type { RawFile } from './block-file.js';
import type { BufferPool } from './buffer-pool.js';
import { errnoOf } from './errno.js';
import type { Gate } from './gate.js';
import type { IoFailure } from './io-errors.js';
import { planRequests, type Request } from './requests.js';

/** What the I/O of one open file needs to know. */
export interface JsFileOptions {
  fd: number;
  /** Alignment of offsets, lengths and memory that `fd` needs; 1 when it is buffered. */
  alignBytes: number;
  /** Granularity of direct writes: a page, so that none shares a page with a buffered one. */
  writeAlignBytes: number;
  /** Page-aligned memory of `MAX_REQUEST_BYTES` for requests that are not aligned. */
  bounce: BufferPool;
  /** Bounds the requests in flight, of all files together. */
  gate: Gate;
  /** Whether memory at this place of `buffer` satisfies `alignBytes`. */
  isAligned(buffer: Buffer, position: number): boolean;
}

const REQUESTS_IN_FLIGHT = 16;

const openFile = promisify(open);
const closeFile = promisify(close);
const syncFile = promisify(fsync);

/** Plain I/O on node:fs: many requests of a batch at once on libuv's threads. */
export function createJsFile(options: JsFileOptions): RawFile {
  const { fd, alignBytes, writeAlignBytes, bounce, gate, isAligned } = options;
  let edgeFd: Promise<number> | undefined;

  /** The same inode without O_DIRECT, for the edges of unaligned writes. */
  function bufferedFd(): Promise<number> {
    edgeFd ??= openFile(`/proc/self/fd/${fd}`, constants.O_WRONLY);
    return edgeFd;
  }

  async function readRequest(buffer: Buffer, request: Request): Promise<IoFailure | undefined> {
    const { offset, length, position } = request;
    const start = offset - (offset % alignBytes);
    const end = roundUp(offset + length, alignBytes);
    if (start === offset && end === offset + length && isAligned(buffer, position)) {
      return readFully(fd, buffer, position, end - start, start, length, alignBytes);
    }
    const memory = await bounce.acquire();
    try {
      const needed = offset + length - start;
      const failure = await readFully(fd, memory, 0, end - start, start, needed, alignBytes);
      if (!failure) memory.copy(buffer, position, offset - start, needed);
      return failure;
    } finally {
      bounce.release(memory);
    }
  }

  async function writeRequest(buffer: Buffer, request: Request): Promise<IoFailure | undefined> {
    const { offset, length, position } = request;
    const end = offset + length;
    const directStart = roundUp(offset, writeAlignBytes);
    const directEnd = end - (end % writeAlignBytes);
    if (directStart >= directEnd) return writeEdge(buffer, request);
    const head = directStart - offset;
    const middle = directEnd - directStart;
    return (
      (await writeEdge(buffer, { offset, length: head, position })) ??
      (await writeDirect(buffer, {
        offset: directStart,
        length: middle,
        position: position + head,
      })) ??
      (await writeEdge(buffer, {
        offset: directEnd,
        length: end - directEnd,
        position: position + head + middle,
      }))
    );
  }

  async function writeEdge(buffer: Buffer, request: Request): Promise<IoFailure | undefined> {
    if (request.length === 0) return undefined;
    return writeFully(await bufferedFd(), buffer, request, 1);
  }

  async function writeDirect(buffer: Buffer, request: Request): Promise<IoFailure | undefined> {
    const { offset, length, position } = request;
    if (isAligned(buffer, position)) return writeFully(fd, buffer, request, alignBytes);
    const memory = await bounce.acquire();
    try {
      buffer.copy(memory, 0, position, position + length);
      return await writeFully(fd, memory, { offset, length, position: 0 }, alignBytes);
    } finally {
      bounce.release(memory);
    }
  }

  return {
    read: (batch) => runRequests(batch, gate, readRequest),
    write: (batch) => runRequests(batch, gate, writeRequest),
    flush: () => errnoOrNothing(syncFile(fd)),
    async close() {
      const closings = [closeFile(fd)];
      if (edgeFd) closings.push(edgeFd.then(closeFile));
      const errnos = await Promise.all(closings.map(errnoOrNothing));
      return errnos.find((errno) => errno !== undefined);
    },
  };
}

/** Runs a batch's requests, a bounded number at once; the first failure stops the rest. */
async function runRequests(
  batch: Batch,
  gate: Gate,
  run: (buffer: Buffer, request: Request) => Promise<IoFailure | undefined>,
): Promise<IoFailure | undefined> {
  const requests = planRequests(batch);
  const failures: IoFailure[] = [];
  let next = 0;

  async function lane(): Promise<void> {
    while (next < requests.length && failures.length === 0) {
      const request = requests[next++]!;
      await gate.enter();
      try {
        const failure = await run(batch.buffer, request);
        if (failure) failures.push(failure);
      } catch (error) {
        failures.push({ errno: errnoOf(error), offset: request.offset, length: request.length });
      } finally {
        gate.leave();
      }
    }
  }

  await Promise.all(Array.from({ length: Math.min(REQUESTS_IN_FLIGHT, requests.length) }, lane));
  return failures.sort((a, b) => a.offset - b.offset)[0];
}

/**
 * Reads until the first `needed` bytes are there. Direct I/O can stop at the end of a file in the
 * middle of a block, so `length` may reach further than `needed`.
 */
async function readFully(
  fd: number,
  buffer: Buffer,
  position: number,
  length: number,
  offset: number,
  needed: number,
  alignBytes: number,
): Promise<IoFailure | undefined> {
  for (let done = 0; done < needed; ) {
    const got = await readOnce(fd, buffer, position + done, length - done, offset + done);
    if (done + got >= needed) break;
    const kept = got - (got % alignBytes);
    if (kept === 0) return { errno: undefined, offset: offset + done, length: length - done };
    done += kept;
  }
  return undefined;
}

async function writeFully(
  fd: number,
  buffer: Buffer,
  { offset, length, position }: Request,
  alignBytes: number,
): Promise<IoFailure | undefined> {
  for (let done = 0; done < length; ) {
    const put = await writeOnce(fd, buffer, position + done, length - done, offset + done);
    if (done + put === length) break;
    const kept = put - (put % alignBytes);
    if (kept === 0) return { errno: undefined, offset: offset + done, length: length - done };
    done += kept;
  }
  return undefined;
}

function readOnce(fd: number, buffer: Buffer, position: number, length: number, offset: number) {
  return new Promise<number>((resolve, reject) => {
    read(fd, buffer, position, length, offset, (error, bytes) =>
      error ? reject(error) : resolve(bytes),
    );
  });
}

function writeOnce(fd: number, buffer: Buffer, position: number, length: number, offset: number) {
  return new Promise<number>((resolve, reject) => {
    write(fd, buffer, position, length, offset, (error, bytes) =>
      error ? reject(error) : resolve(bytes),
    );
  });
}

function errnoOrNothing(work: Promise<unknown>): Promise<string | undefined> {
  return work.then(() => undefined, errnoOf);
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
