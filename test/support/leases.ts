import type { Engine } from '#lvmsync/block/engine.js';

/** The engine, and what of its memory has not been given back. */
export function countLeases(engine: Engine): { engine: Engine; leased: Set<Buffer> } {
  const leased = new Set<Buffer>();
  const counted: Engine = {
    ...engine,
    allocate(bytes) {
      const memory = engine.allocate(bytes);
      leased.add(memory);
      return memory;
    },
    release(memory) {
      leased.delete(memory);
      engine.release?.(memory);
    },
  };
  return { engine: counted, leased };
}
