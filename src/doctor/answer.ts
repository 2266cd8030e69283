/**
 * The far end of `lvmsync doctor`: a report in a line of JSON; then PINGS bytes are echoed, each
 * as it comes; then what comes is counted and dropped, and at its end the count is a line of JSON.
 */
import type { Readable, Writable } from 'node:stream';
import { createStreamWriter } from '../transport/stream-writer.js';
import type { HostReport } from './host-report.js';

export const PINGS = 5;
/** More than the near end ever sends. */
export const MAX_PAYLOAD_BYTES = 64 << 20;

/** @throws LvmsyncError CONNECTION_LOST when nobody listens any more */
export async function answerDoctor(
  report: HostReport,
  input: Readable,
  output: Writable,
): Promise<void> {
  const writer = createStreamWriter(output);
  await writer.write(Buffer.from(`${JSON.stringify(report)}\n`));
  let pings = 0;
  let receivedBytes = 0;
  for await (const chunk of input as AsyncIterable<Buffer>) {
    const echoed = chunk.subarray(0, PINGS - pings);
    pings += echoed.length;
    if (echoed.length > 0) await writer.write(echoed);
    receivedBytes += chunk.length - echoed.length;
    if (receivedBytes > MAX_PAYLOAD_BYTES) break;
  }
  await writer.write(Buffer.from(`${JSON.stringify({ receivedBytes })}\n`));
  await writer.finish();
}
