import type { BlockFile } from './engine.js';

/** A target of the same size that takes every write and keeps nothing: to check a stream with. */
export function nullTarget({
  path,
  kind,
  sizeBytes,
  blockBytes,
}: Pick<BlockFile, 'path' | 'kind' | 'sizeBytes' | 'blockBytes'>): BlockFile {
  const nothing = async () => {};
  return {
    path,
    kind,
    sizeBytes,
    blockBytes,
    read: nothing,
    write: nothing,
    zero: nothing,
    writesZeroesBelow: 0,
    discard: nothing,
    flush: nothing,
    close: nothing,
  };
}
