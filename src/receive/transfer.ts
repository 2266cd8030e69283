/** The receiver's half of a PROTO[4] transfer, as docs/protocol.md has it. */
import type { BlockFile, Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import type { ByteSource } from '../stream/bytes.js';
import { encodeMessage } from '../stream/message-encoder.js';
import {
  type Accept,
  type Capability,
  parseOpenRequest,
  parseRefusal,
  parseSenderHello,
  parseTotals,
  type ReceiverHello,
  refusalOf,
  type SenderHello,
  sameTotals,
  type Totals,
} from '../stream/messages.js';
import { damaged, RECORD, type RecordHeader } from '../stream/proto4.js';
import { zstdAvailable } from '../stream/zstd.js';
import { createRecordReader, type RecordReader, truncated } from '../transport/record-reader.js';
import type { StreamWriter } from '../transport/stream-writer.js';
import type { RunWatcher } from '../watcher.js';
import { createChecker } from './checker.js';
import { createCheckpoints } from './checkpoints.js';
import { createReceiverLinks, type LinkPolicy, type ReceiverLinks } from './links.js';
import { noProgressFile, type ProgressFile, transferName } from './progress.js';
import { createRecordApplier, type LinkApplier, type RecordApplier } from './record-applier.js';
import type { Snapback } from './snapback.js';

const DEFAULT_PEER = 'the sender';

export interface TransferOptions {
  /** From behind the label on. */
  source: ByteSource;
  /** Who sends, for messages; `the sender` unless said. */
  peer?: string | undefined;
  /** Where the answers go; none when the stream comes from a file. */
  answers?: StreamWriter | undefined;
  target: BlockFile;
  engine: Engine;
  snapback?: Snapback | undefined;
  /** Where an interrupted transfer to this target is remembered. */
  progress?: ProgressFile | undefined;
  /** What takes the records, where that is not the target itself; there is no `progress` then. */
  applier?: RecordApplier | undefined;
  /** How the sender may reach this end with further links. */
  links?: LinkPolicy | undefined;
  /** How long a link may be silent, in milliseconds; 0 for ever. */
  timeoutMs?: number | undefined;
  watcher?: RunWatcher | undefined;
  /** Whether `finish` waits for the sender's COMMIT. */
  hold?: boolean | undefined;
}

/** What is said of the receiving end before anything has come from the sender. */
export function receiverHello(version: string, target: BlockFile, hold = false): ReceiverHello {
  const capabilities: Capability[] = zstdAvailable ? ['zstd', 'links'] : ['links'];
  if (hold) capabilities.push('hold');
  return {
    version,
    capabilities,
    target: { sizeBytes: target.sizeBytes, kind: target.kind },
  };
}

/**
 * Applies a transfer, flushes the target and sends the receipt.
 *
 * @throws LvmsyncError STREAM_TRUNCATED, STREAM_DAMAGED, STREAM_UNKNOWN, PAST_END,
 *   TARGET_TOO_SMALL (nothing written), what the sender refused with, and what engine and snapback
 *   throw; the sender is told
 */
export async function receiveTransfer(options: TransferOptions): Promise<Totals> {
  const { source, answers, target, engine, snapback, watcher } = options;
  const { progress = noProgressFile } = options;
  const reader = createRecordReader(source, engine);
  const hello = await readHello(reader, options.peer);
  checkSize(hello, target);
  const accept = await resumption(hello, progress);
  await answers?.write(encodeMessage(RECORD.accept, accept));
  const remember = (durableOffset: number) =>
    progress.save({
      transfer: transferName(hello),
      source: hello.source.id,
      run: hello.run,
      durableOffset,
    });
  let begun: Promise<void> | undefined;
  // From then on the target may hold chunks that are neither old nor new.
  const begin = () => {
    begun ??= accept.resume === undefined ? remember(0) : Promise.resolve();
    return begun;
  };
  const { applier = createRecordApplier({ target, engine, snapback, begin }) } = options;
  const checkpoints = createCheckpoints(applier, async (durableOffset) => {
    await remember(durableOffset);
    await answers?.write(encodeMessage(RECORD.durable, { offset: durableOffset }));
  });
  // How much a resumed transfer still has to bring is not said.
  watcher?.phase('apply', accept.resume === undefined ? hello.source.extents.bytes : undefined);
  let toldBytes = 0;
  async function apply(link: LinkApplier, header: RecordHeader, from: RecordReader): Promise<void> {
    begin().catch(() => undefined); // meanwhile; who writes to the target waits for it
    await link.apply(header, from);
    watcher?.advance(applier.dataBytes - toldBytes);
    toldBytes = applier.dataBytes;
    await checkpoints.note();
  }
  const first = applier.openLink();
  const links = createReceiverLinks({
    policy: options.links ?? {},
    engine,
    timeoutMs: options.timeoutMs ?? 0,
    async receive(from, via) {
      const link = applier.openLink();
      if (via === 'tls') first.end();
      await applyLink(from, (header) => apply(link, header, from));
      link.end();
    },
  });
  try {
    const sent = await converse(reader, {
      ...options,
      links,
      apply: (header) => apply(first, header, reader),
    });
    if (answers === undefined) await expectEnd(reader);
    const totals = applier.totals();
    if (!sameTotals(sent, totals)) throw incomplete(sent, totals);
    if (options.hold) {
      await applier.prepare?.();
      await answers?.write(encodeMessage(RECORD.prepared));
      await awaitCommit(reader);
    }
    watcher?.phase('flush');
    await applier.finish();
    await checkpoints.settle(); // or what it remembers would outlive the transfer
    await progress.clear();
    await answers?.write(encodeMessage(RECORD.receipt, { ...totals, flushed: true }));
    await answers?.finish();
    return totals;
  } catch (error) {
    if (applier.records > 0) await checkpoints.last();
    throw error;
  } finally {
    links.close();
    await applier.settle();
  }
}

/**
 * Whether this transfer continues the last one. What is remembered of another source is dropped; of
 * the same source with another list of changes, when this transfer changes the target in turn.
 */
async function resumption(hello: SenderHello, progress: ProgressFile): Promise<Accept> {
  const saved = await progress.load();
  if (saved === undefined) return {};
  if (saved.transfer === transferName(hello)) {
    return { resume: saved.durableOffset, resumeRun: saved.run };
  }
  if (saved.source === hello.source.id) {
    return { startsOver: 'there are other changes than when it was interrupted', begun: true };
  }
  await progress.clear();
  return { startsOver: 'the interrupted transfer was of another source' };
}

/** Tells the sender why nothing more will come; false when that cannot be told any more. */
export async function sendRefusal(answers: StreamWriter, error: unknown): Promise<boolean> {
  try {
    await answers.write(encodeMessage(RECORD.refuse, refusalOf(error)));
    await answers.finish();
    return true;
  } catch {
    return false;
  }
}

export async function readHello(reader: RecordReader, peer = DEFAULT_PEER): Promise<SenderHello> {
  let header = await reader.nextHeader();
  while (header?.type === RECORD.alive) {
    await readMessage(reader);
    header = await reader.nextHeader();
  }
  if (header === undefined) throw truncated('before the sender said who it is');
  if (header.type !== RECORD.hello && header.type !== RECORD.refuse) {
    throw damaged('the stream does not begin with a hello');
  }
  const payload = await readMessage(reader);
  if (header.type === RECORD.refuse) throw parseRefusal(payload, peer);
  return parseSenderHello(payload);
}

export async function readMessage(reader: RecordReader): Promise<Buffer> {
  const { payload } = await reader.readOwnBody();
  return payload;
}

export function checkSize({ source }: SenderHello, target: BlockFile): void {
  if (source.sizeBytes <= target.sizeBytes) return;
  throw new LvmsyncError(
    'TARGET_TOO_SMALL',
    `${target.path} has ${target.sizeBytes} bytes, but the source has ${source.sizeBytes}`,
    { path: target.path, hint: 'enlarge it (lvextend) or name a larger target' },
  );
}

interface ConversationOptions extends Omit<TransferOptions, 'links'> {
  links: ReceiverLinks;
  /** Takes a record that changes the target. */
  apply(header: RecordHeader): Promise<void>;
}

/** Everything between the hello and the END record, whose totals are returned. */
async function converse(
  reader: RecordReader,
  { peer = DEFAULT_PEER, answers, target, engine, links, apply }: ConversationOptions,
): Promise<Totals> {
  const checker = createChecker({
    target,
    engine,
    answer: async (checked) => answers?.write(checked),
    fail: links.fail,
  });
  for (;;) {
    const header = await links.whileSound(reader.nextHeader());
    // What was asked before is answered before, and by what the target held then.
    if (header?.type !== RECORD.check && header?.type !== RECORD.alive) await checker.settle();
    switch (header?.type) {
      case undefined:
        throw truncated('before its end record');
      case RECORD.data:
      case RECORD.zero:
      case RECORD.discard:
        await links.whileSound(apply(header));
        break;
      case RECORD.open: {
        const request = parseOpenRequest(await readMessage(reader));
        await answers?.write(encodeMessage(RECORD.opened, await links.open(request)));
        break;
      }
      case RECORD.check:
        await checker.check(header, reader);
        break;
      case RECORD.alive:
      case RECORD.durable: // a mark of a snapback
        await readMessage(reader);
        break;
      case RECORD.end: {
        const totals = parseTotals(await readMessage(reader));
        await links.ended();
        return totals;
      }
      case RECORD.refuse:
        throw parseRefusal(await readMessage(reader), peer);
      default:
        throw damaged(`a sender does not send records of type ${header?.type}`);
    }
  }
}

/** Everything is here, and the target as it was: the sender has the last word. */
async function awaitCommit(reader: RecordReader): Promise<void> {
  for (;;) {
    const header = await reader.nextHeader();
    switch (header?.type) {
      case undefined:
        throw truncated('before the sender had decided');
      case RECORD.alive:
        await readMessage(reader);
        break;
      case RECORD.commit:
        await readMessage(reader);
        return;
      case RECORD.refuse:
        throw parseRefusal(await readMessage(reader), 'the sender');
      default:
        throw damaged(`a sender does not decide by records of type ${header?.type}`);
    }
  }
}

/** The records of a further link. */
async function applyLink(
  reader: RecordReader,
  apply: (header: RecordHeader) => Promise<void>,
): Promise<void> {
  for (;;) {
    const header = await reader.nextHeader();
    switch (header?.type) {
      case undefined:
        return;
      case RECORD.data:
      case RECORD.zero:
      case RECORD.discard:
        await apply(header);
        break;
      case RECORD.alive:
        await readMessage(reader);
        break;
      default:
        throw damaged(`records of type ${header?.type} do not come over a link`);
    }
  }
}

/** Two streams in one file would be half a success. */
async function expectEnd(reader: RecordReader): Promise<void> {
  if ((await reader.nextHeader()) === undefined) return;
  throw damaged('something follows the end record of the stream');
}

export function incomplete(sent: Totals, received: Totals): LvmsyncError {
  const what =
    sent.records === received.records
      ? 'the digests differ'
      : `${sent.records} records were sent, ${received.records} arrived`;
  return new LvmsyncError('STREAM_DAMAGED', `the stream is not what was sent: ${what}`, {
    hint: 'the target is incomplete; run the same command again',
  });
}
