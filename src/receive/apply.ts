import type { BlockFile, Engine } from '../block/engine.js';
import { assertTargetUsable, inspectTarget } from '../block/target.js';
import type { ByteSource } from '../stream/bytes.js';
import { checkStream, type ReceiveReport, receive } from './receive.js';
import { createSnapback, type Snapback } from './snapback.js';

export interface ApplyOptions {
  /** The stream. One with `rewind` is read and checked whole before the target is touched. */
  input: ByteSource & { rewind?(): void };
  /** A block device or an existing regular file. */
  targetPath: string;
  engine: Engine;
  /** Where to save what is overwritten. */
  snapbackPath?: string | undefined;
  /** Override the refusals that can be overridden. */
  force?: boolean | undefined;
  /** What the target must hold at least, where it is known beforehand. */
  needBytes?: number | undefined;
  /** Devices that the target must not be. */
  sourcePaths?: readonly string[] | undefined;
  /** Told what `force` has overridden, a line each. */
  onWarning?: ((line: string) => void) | undefined;
}

/**
 * The receiver's whole job: checks the target, opens it for this run alone, applies the stream
 * and flushes.
 *
 * @throws LvmsyncError TARGET_UNSUITABLE, TARGET_IN_USE, TARGET_TOO_SMALL (the target is
 *   untouched), and what `receive` throws
 */
export async function applyStream(options: ApplyOptions): Promise<ReceiveReport> {
  const { input, targetPath, engine, snapbackPath, force = false } = options;
  const inspected = await inspectTarget(targetPath, {
    needBytes: options.needBytes,
    sourcePaths: options.sourcePaths,
  });
  for (const overridden of assertTargetUsable(inspected, { force })) {
    options.onWarning?.(`${overridden.message} (--force)`);
  }
  const target = await engine.open(targetPath, { mode: 'write', exclusive: !force });
  try {
    if (input.rewind !== undefined) {
      await checkStream(input, target.sizeBytes, engine);
      input.rewind();
    }
    return await receiveInto(target, input, engine, snapbackPath);
  } finally {
    await target.close();
  }
}

async function receiveInto(
  target: BlockFile,
  source: ByteSource,
  engine: Engine,
  snapbackPath: string | undefined,
): Promise<ReceiveReport> {
  let snapback: Snapback | undefined;
  if (snapbackPath !== undefined) snapback = await createSnapback(snapbackPath, target, engine);
  try {
    return await receive({ source, target, engine, ...(snapback && { snapback }) });
  } finally {
    await snapback?.close();
  }
}
