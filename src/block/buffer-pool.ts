import { LvmsyncError } from '../errors.js';
import type { Engine } from './engine.js';

export interface BufferPoolOptions {
  /** Size of each buffer in bytes. */
  bufferBytes: number;
  /** How many buffers there can be at most; each is allocated when it is first needed. */
  count: number;
}

/** A bounded number of page-aligned buffers, handed out in the order they were asked for. */
export interface BufferPool {
  /**
   * Waits until a buffer is free. Its contents are whatever the last user left.
   *
   * @throws what the pool was closed for
   */
  acquire(): Promise<Buffer>;
  /** Gives a buffer back; the caller must not touch it afterwards. */
  release(buffer: Buffer): void;
  /** Lets there be more buffers. */
  grow(count: number): void;
  /**
   * Makes every present and later `acquire` throw `reason`, and gives the memory back: at once, or,
   * of a buffer that is out, when it is released, if it ever is.
   */
  close(reason?: Error): void;
}

export function createBufferPool(
  engine: Pick<Engine, 'allocate' | 'release'>,
  { bufferBytes, count: initialCount }: BufferPoolOptions,
): BufferPool {
  const free: Buffer[] = [];
  const waiting: { resolve: (buffer: Buffer) => void; reject: (error: Error) => void }[] = [];
  let allocated = 0;
  let count = initialCount;
  let closedFor: Error | undefined;

  function allocate(): Buffer {
    const buffer = engine.allocate(bufferBytes);
    allocated++;
    return buffer;
  }

  return {
    async acquire() {
      if (closedFor) throw closedFor;
      const buffer = free.pop();
      if (buffer) return buffer;
      if (allocated === count) {
        return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
      }
      return allocate();
    },
    release(buffer) {
      const next = waiting.shift();
      if (next) next.resolve(buffer);
      else if (closedFor) engine.release?.(buffer);
      else free.push(buffer);
    },
    grow(more) {
      count += more;
      while (allocated < count && waiting.length > 0) waiting.shift()?.resolve(allocate());
    },
    close(reason = new LvmsyncError('INTERNAL', 'the buffers have been given back')) {
      closedFor ??= reason;
      for (const { reject } of waiting.splice(0)) reject(closedFor);
      for (const buffer of free.splice(0)) engine.release?.(buffer);
    },
  };
}
