import type { Engine } from './engine.js';

export interface BufferPoolOptions {
  /** Size of each buffer in bytes. */
  bufferBytes: number;
  /** How many buffers there can be at most; each is allocated when it is first needed. */
  count: number;
}

/** A bounded number of page-aligned buffers, handed out in the order they were asked for. */
export interface BufferPool {
  /** Waits until a buffer is free. Its contents are whatever the last user left. */
  acquire(): Promise<Buffer>;
  /** Gives a buffer back; the caller must not touch it afterwards. */
  release(buffer: Buffer): void;
  /** Lets there be more buffers. */
  grow(count: number): void;
}

export function createBufferPool(
  engine: Pick<Engine, 'allocate'>,
  { bufferBytes, count: initialCount }: BufferPoolOptions,
): BufferPool {
  const free: Buffer[] = [];
  const waiting: ((buffer: Buffer) => void)[] = [];
  let allocated = 0;
  let count = initialCount;

  function allocate(): Buffer {
    const buffer = engine.allocate(bufferBytes);
    allocated++;
    return buffer;
  }

  return {
    async acquire() {
      const buffer = free.pop();
      if (buffer) return buffer;
      if (allocated === count) return new Promise((resolve) => waiting.push(resolve));
      return allocate();
    },
    release(buffer) {
      const next = waiting.shift();
      if (next) next(buffer);
      else free.push(buffer);
    },
    grow(more) {
      count += more;
      while (allocated < count && waiting.length > 0) waiting.shift()?.(allocate());
    },
  };
}
