/** The data records of a PROTO[4] transfer, between its opening and its END. */
import type { Engine } from '../block/engine.js';
import type { ExtentSource } from '../extents/extents.js';
import { createTransferDigest } from '../stream/digest.js';
import type { Totals } from '../stream/messages.js';
import { zstdCompress } from '../stream/zstd.js';
import type { RunWatcher } from '../watcher.js';
import type { ChangeSource } from './change-source.js';
import { createDeferred } from './deferred.js';
import type { LinkSet } from './link-set.js';
import { MAX_LINKS } from './open-links.js';
import { createProto4Encoder } from './proto4-encoder.js';
import { type SendRecordsOptions, type SendReport, sendRecords } from './send.js';

export interface BodyOptions
  extends Pick<SendRecordsOptions, 'furtherBuffers' | 'mayWrite' | 'onSent'> {
  source: ChangeSource;
  engine: Engine;
  compress?: boolean | undefined;
  signal?: AbortSignal | undefined;
  watcher?: RunWatcher | undefined;
}

/** @throws LvmsyncError as `sendRecords` */
export async function sendBody(
  output: LinkSet,
  extents: Pick<ExtentSource, 'slices'>,
  { source, engine, compress, ...options }: BodyOptions,
): Promise<{ report: SendReport; totals: Totals }> {
  const digest = createTransferDigest();
  const encoder = createProto4Encoder({
    extents,
    discarded: source.discarded,
    engine,
    digest,
    recordBytes: output.recordBytes,
    ...(compress && { compress: zstdCompress }),
  });
  const report = await sendRecords({ ...options, encoder, source: source.data, engine, output });
  const totals: Totals = {
    records: report.recordCount,
    dataBytes: report.dataBytes,
    digest: digest.hex(),
  };
  return { report, totals };
}

/** A body that is being read. */
export interface Body {
  /** Writes it. @throws LvmsyncError as `sendRecords` */
  send(): ReturnType<typeof sendBody>;
  /** Resolves when nothing is read any more. */
  abandon(): Promise<void>;
}

/** Starts to read what is to be sent, ahead of the word for that. */
export function startBody(
  output: LinkSet,
  extents: Pick<ExtentSource, 'slices'>,
  options: Omit<BodyOptions, 'furtherBuffers' | 'mayWrite'>,
): Body {
  const { promise: mayWrite, resolve: go, reject: stop } = createDeferred();
  mayWrite.catch(() => undefined); // met by who waits for it, if anybody does
  const sent = sendBody(output, extents, { ...options, furtherBuffers: 2 * MAX_LINKS, mayWrite });
  sent.catch(() => undefined); // met by who sends it
  return {
    send() {
      go();
      return sent;
    },
    async abandon() {
      stop(new Error('it is not to be sent'));
      await sent.catch(() => undefined);
    },
  };
}
