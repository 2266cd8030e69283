/** A whole volume as a source: every byte of it is to be sent. */
import type { BlockFile, Engine } from '../block/engine.js';
import { identify } from '../block/identity.js';
import { extentsOfList } from '../extents/from.js';
import type { ChangeSource } from './change-source.js';

const CHUNK_BYTES = 64 * 1024;

/** @throws LvmsyncError of opening */
export async function openWholeSource({
  path,
  engine,
}: {
  path: string;
  engine: Engine;
}): Promise<ChangeSource> {
  const data = await engine.open(path, { mode: 'read' });
  return wholeSource(data, `whole ${await identify(path)}`);
}

export function wholeSource(data: BlockFile, id: string): ChangeSource {
  return {
    description: data.path,
    id,
    extents: extentsOfList(data.sizeBytes === 0 ? [] : [[0, data.sizeBytes]]),
    data,
    store: data,
    async *pairs() {},
    volumeBytes: data.sizeBytes,
    exceptionCount: Math.ceil(data.sizeBytes / CHUNK_BYTES),
    chunkBytes: CHUNK_BYTES,
    paths: [data.path],
    recheck: async () => {},
    close: () => data.close(),
  };
}
