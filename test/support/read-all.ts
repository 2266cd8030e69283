import { type ByteSource, passOn } from '#lvmsync/stream/bytes.js';

/** What comes until the end. */
export async function readAll(source: ByteSource): Promise<Buffer> {
  const chunks: Buffer[] = [];
  await passOn(source, (chunk) => chunks.push(chunk));
  return Buffer.concat(chunks);
}
