/** Reads a stream or a snapback whole, without a target: what is in it, and whether it is right. */
import type { Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import { stat } from '../files.js';
import type { ByteSource } from '../stream/bytes.js';
import { openFileSource } from '../transport/byte-source.js';
import { type Findings, type Inspection, interruptedRead, nothingYet } from './inspect-findings.js';
import { inspectProto3 } from './inspect-proto3.js';
import { inspectProto4 } from './inspect-proto4.js';
import { readHandshake } from './read-handshake.js';

export interface InspectOptions {
  engine: Engine;
  signal?: AbortSignal | undefined;
}

/** What a broken stream is not to end with: it is the answer. */
const ANSWERS = new Set(['STREAM_DAMAGED', 'STREAM_TRUNCATED', 'STREAM_UNKNOWN', 'PAST_END']);

/** @throws LvmsyncError OPEN_FAILED, READ_FAILED, INTERRUPTED */
export async function inspectFile(path: string, options: InspectOptions): Promise<Inspection> {
  const file = await openFileSource(path);
  try {
    const found = await inspect(file, path, options);
    const stats = await stat(path);
    found.modifiedAtMs = Math.floor(stats.mtimeMs);
    if (stats.isFile()) found.fileBytes = stats.size;
    return found;
  } finally {
    await file.close();
  }
}

/**
 * Of bytes that come only once, such as standard input.
 *
 * @throws LvmsyncError READ_FAILED, INTERRUPTED
 */
export function inspectSource(source: ByteSource, options: InspectOptions): Promise<Inspection> {
  return inspect(source, undefined, options);
}

async function inspect(
  bytes: ByteSource,
  path: string | undefined,
  { engine, signal }: InspectOptions,
): Promise<Inspection> {
  const found = nothingYet();
  const source = counting(bytes, found, signal);
  try {
    const { protocol } = await readHandshake(source);
    found.wholeBytes = found.fileBytes;
    if (protocol === 3) await inspectProto3(source, found, engine);
    else await inspectProto4(source, found, engine, { path, signal });
  } catch (error) {
    if (!(error instanceof LvmsyncError) || !ANSWERS.has(error.code)) throw error;
    const message =
      error.code === 'PAST_END' ? 'a record lies beyond the end of its own volume' : error.message;
    const offset = error.code === 'STREAM_TRUNCATED' ? found.fileBytes : found.wholeBytes;
    found.state = error.code === 'STREAM_TRUNCATED' ? 'truncated' : 'damaged';
    found.problem = { message, offset };
  }
  return found;
}

function counting(
  source: ByteSource,
  found: Findings,
  signal: AbortSignal | undefined,
): ByteSource {
  return {
    description: source.description,
    async read(into) {
      if (signal?.aborted) {
        throw interruptedRead(source.description);
      }
      const readBytes = await source.read(into);
      found.fileBytes += readBytes;
      return readBytes;
    },
  };
}
