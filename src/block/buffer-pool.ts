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
   * @throws what the pool failed with
   */
  acquire(): Promise<Buffer>;
  /** Gives a buffer back; the caller must not touch it afterwards. */
  release(buffer: Buffer): void;
  /** Lets there be more buffers. */
  grow(count: number): void;
  /** Makes every present and later `acquire` throw `error`: buffers that are out do not come back. */
  fail(error: Error): void;
}

export function createBufferPool(
  engine: Pick<Engine, 'allocate'>,
  { bufferBytes, count: initialCount }: BufferPoolOptions,
): BufferPool {
  const free: Buffer[] = [];
  const waiting: { resolve: (buffer: Buffer) => void; reject: (error: Error) => void }[] = [];
  let allocated = 0;
  let count = initialCount;
  let failure: Error | undefined;

  function allocate(): Buffer {
    const buffer = engine.allocate(bufferBytes);
    allocated++;
    return buffer;
  }

  return {
    async acquire() {
      if (failure) throw failure;
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
      else free.push(buffer);
    },
    grow(more) {
      count += more;
      while (allocated < count && waiting.length > 0) waiting.shift()?.resolve(allocate());
    },
    fail(error) {
      failure ??= error;
      for (const { reject } of waiting.splice(0)) reject(failure);
    },
  };
}
