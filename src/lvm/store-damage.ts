import type { BlockFile } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import type { EntryChecks, EntryFault } from './store-entries.js';
import { areaOffset, ENTRY_BYTES, type StoreLayout } from './store-header.js';

/** Where the entry with this index in the whole list is, for a person: `area 3, entry 17`. */
function placeOfEntry(layout: StoreLayout, index: number): string {
  const area = Math.floor(index / layout.entriesPerArea);
  return `area ${area}, entry ${index % layout.entriesPerArea}`;
}

export interface Damage {
  fault: EntryFault;
  /** Index of the bad entry in the whole list. */
  index: number;
  /** The chunk number that makes it bad. */
  chunk: number;
  /** Of two entries with the same chunk, the index of the other one. */
  firstIndex?: number | undefined;
}

export function damageError(
  store: BlockFile,
  { layout, originChunks }: Pick<EntryChecks, 'layout' | 'originChunks'>,
  { fault, index, chunk, firstIndex }: Damage,
): LvmsyncError {
  const first = firstIndex === undefined ? '' : `, as in ${placeOfEntry(layout, firstIndex)}`;
  const faults: Record<EntryFault, string> = {
    'old-outside': `names chunk ${chunk} of an origin of ${originChunks} chunks`,
    'new-outside': `points at chunk ${chunk} of a store of ${layout.storeChunks} chunks`,
    'new-is-metadata': `points at chunk ${chunk}, which holds metadata`,
    'old-twice': `names chunk ${chunk} of the origin a second time${first}`,
    'new-twice': `points at chunk ${chunk} a second time${first}`,
  };
  const entry = index % layout.entriesPerArea;
  const area = Math.floor(index / layout.entriesPerArea);
  return new LvmsyncError(
    'STORE_DAMAGED',
    `the exception store ${store.path} is damaged: ${placeOfEntry(layout, index)} ${faults[fault]}`,
    {
      path: store.path,
      offset: areaOffset(layout, area) + entry * ENTRY_BYTES,
      hint:
        fault === 'old-outside'
          ? 'check that store and origin belong together; if they do, copy the whole volume'
          : 'do not trust this snapshot: take a new one and copy the whole volume',
    },
  );
}
