/** The receiver's half of a verification: says what its target holds, and writes nothing. */
import { existsSync } from 'node:fs';
import type { BlockFile, Engine } from '../block/engine.js';
import { identify } from '../block/identity.js';
import { nullTarget } from '../block/null-target.js';
import { stateDirectoryPath } from '../block/state-directory.js';
import { assertVolumeCanBeMade, type NewVolume } from '../lvm/create-volume.js';
import type { ByteSink, ByteSource } from '../stream/bytes.js';
import { createTransferDigest } from '../stream/digest.js';
import { encodeMessage } from '../stream/message-encoder.js';
import {
  type Accept,
  parseRefusal,
  parseTotals,
  type SenderHello,
  sameTotals,
  type Totals,
} from '../stream/messages.js';
import { damaged, RECORD } from '../stream/proto4.js';
import { withTimeout } from '../transport/pulse.js';
import { createRecordReader, truncated } from '../transport/record-reader.js';
import type { StreamWriter } from '../transport/stream-writer.js';
import { createChecker } from './checker.js';
import { type OpenToVerifyOptions, openTargetToVerify } from './open-to-verify.js';
import { progressFile, transferName } from './progress.js';
import { readHandshake } from './read-handshake.js';
import { createSoundness } from './soundness.js';
import { openTargetState } from './state-directory.js';
import { type SenderOptions, whileTelling } from './tell-sender.js';
import { checkSize, incomplete, readHello, readMessage, receiverHello } from './transfer.js';

const SECTOR_BYTES = 512;

export interface VerifyTargetOptions extends OpenToVerifyOptions, Omit<SenderOptions, 'answers'> {
  /** What the transfer that is rehearsed would make where there is no target. */
  create?: NewVolume | undefined;
  answers: ByteSink;
  /** What the sender asks. */
  input: ByteSource;
  /** Of this program. */
  version?: string | undefined;
}

/**
 * Answers a sender that asks what the target holds. Nothing of it is ever written.
 *
 * @throws LvmsyncError as `openTargetToVerify`; STREAM_TRUNCATED, STREAM_DAMAGED, STREAM_UNKNOWN,
 *   PAST_END, TARGET_TOO_SMALL, what the sender refused with, and what the engine throws; the sender
 *   is told
 */
export function verifyTarget(options: VerifyTargetOptions): Promise<void> {
  const { input, engine, version = '', timeoutMs = 0 } = options;
  return whileTelling(options, async (answers) => {
    const planned = await planVolume(options);
    const target = planned ?? (await openTargetToVerify(options));
    try {
      const hello = receiverHello(version, target);
      if (planned !== undefined) hello.target.toBeMade = true;
      await answers?.write(encodeMessage(RECORD.hello, hello));
      const source = withTimeout(input, timeoutMs);
      const resume = (hello: SenderHello) =>
        planned === undefined ? findProgress(hello, options) : {};
      if (answers !== undefined) await answerChecks({ source, answers, target, engine, resume });
    } finally {
      await target.close();
    }
  });
}

/** The volume that would be made, as a target that holds nothing; undefined where one is there. */
async function planVolume({
  create,
  targetPath,
}: VerifyTargetOptions): Promise<BlockFile | undefined> {
  if (create === undefined || existsSync(targetPath)) return undefined;
  await assertVolumeCanBeMade(targetPath, create);
  return nullTarget({
    path: targetPath,
    kind: 'block-device',
    sizeBytes: create.sizeBytes,
    blockBytes: SECTOR_BYTES,
  });
}

/** How far an interrupted transfer of the same source got; it is left to go on from there. */
async function findProgress(
  hello: SenderHello,
  { targetPath, stateDirectory }: VerifyTargetOptions,
): Promise<Accept> {
  const directory = stateDirectoryPath(stateDirectory);
  const { progressPath } = await openTargetState(directory, await identify(targetPath));
  const saved = await progressFile(progressPath).load();
  if (saved?.transfer !== transferName(hello)) return {};
  return { resume: saved.durableOffset, resumeRun: saved.run };
}

interface AnswerOptions {
  resume(hello: SenderHello): Accept | Promise<Accept>;
  source: ByteSource;
  answers: StreamWriter;
  target: BlockFile;
  engine: Engine;
}

/** From the sender's label to the receipt. @throws as `verifyTarget` */
export async function answerChecks({
  source,
  answers,
  target,
  engine,
  resume,
}: AnswerOptions): Promise<void> {
  const { protocol } = await readHandshake(source);
  if (protocol !== 4) throw damaged('only a sender that speaks PROTO[4] can verify');
  const reader = createRecordReader(source, engine);
  const hello = await readHello(reader);
  checkSize(hello, target);
  await answers.write(encodeMessage(RECORD.accept, await resume(hello)));
  const { whileSound, fail } = createSoundness();
  const checker = createChecker({ target, engine, answer: answers.write, fail });
  for (;;) {
    const header = await whileSound(reader.nextHeader());
    switch (header?.type) {
      case undefined:
        throw truncated('before its end record');
      case RECORD.check:
        await whileSound(checker.check(header, reader));
        break;
      case RECORD.alive:
        await readMessage(reader);
        break;
      case RECORD.refuse:
        throw parseRefusal(await readMessage(reader), 'the sender');
      case RECORD.end: {
        const sent = parseTotals(await readMessage(reader));
        await checker.settle();
        if (!sameTotals(sent, NOTHING)) throw incomplete(sent, NOTHING);
        await answers.write(encodeMessage(RECORD.receipt, { ...NOTHING, flushed: true }));
        return answers.finish();
      }
      default:
        throw damaged(`records of type ${header?.type} are not for a target that is verified`);
    }
  }
}

/** What a verification sends of data. */
const NOTHING: Totals = { records: 0, dataBytes: 0, digest: createTransferDigest().hex() };
