/**
 * Compares a target on this machine with a source on another. Who asks and who answers makes no
 * difference to a comparison by hash: this end asks, the other answers what its source holds.
 */
import { type OpenToVerifyOptions, openTargetToVerify } from '../receive/open-to-verify.js';
import { wholeSource } from '../send/whole-source.js';
import { type OfferedSource, type PullOptions, pull } from './pull.js';
import { compareExtents, type VerifyReport, type VerifyWishes, verifyBy } from './verify.js';

export interface VerifyPulledOptions
  extends Omit<PullOptions, 'extents' | 'create'>,
    Omit<VerifyWishes, 'live'> {
  /** As `listOffered` gives it; its extents are what is compared. */
  source: OfferedSource;
}

/** @throws LvmsyncError as `verify` and `pull` */
export async function verifyPulled(options: VerifyPulledOptions): Promise<VerifyReport> {
  const { source, apply, engine, repair, openOffer, onWarning } = options;
  const target: OpenToVerifyOptions = {
    ...apply,
    engine,
    needBytes: source.sizeBytes,
    forRepair: repair,
  };
  let openedBefore = false;
  let targetBytes = 0;
  // What is there may be written to: this end cannot tell.
  const report = await verifyBy(
    source.extents,
    { ...options, live: true },
    {
      // Opened anew each time, because a repair opens it for itself alone.
      async compare(extents, rereads) {
        const once = openedBefore ? undefined : onWarning;
        const file = await openTargetToVerify({ ...target, onWarning: once });
        openedBefore = true;
        targetBytes = file.sizeBytes;
        const { id, chunkBytes, sizeBytes: volumeBytes } = source;
        const asked = { ...wholeSource(file, id), extents, chunkBytes, volumeBytes };
        try {
          const openVerifier = (onStderr: (chunk: Buffer) => void) =>
            openOffer('answers', onStderr);
          return await compareExtents(
            { ...options, source: asked, openVerifier },
            extents,
            rereads,
          );
        } finally {
          await file.close();
        }
      },
      repair: async (extents) => (await pull({ ...options, extents })).dataBytes,
    },
  );
  return { ...report, targetBytes };
}
