/** The near end of `lvmsync doctor`: asks a host for its report, and measures the way to it. */

import { randomBytes } from 'node:crypto';
import { nowMs } from '../clock.js';
import { LvmsyncError } from '../errors.js';
import type { ByteSource } from '../stream/bytes.js';
import type { Channel } from '../transport/channel.js';
import { withTimeout } from '../transport/pulse.js';
import { createStreamWriter } from '../transport/stream-writer.js';
import { PINGS } from './answer.js';
import { type HostReport, MAX_REPORT_BYTES, parseHostReport } from './host-report.js';

const SEND_BYTES = 16 << 20;
const SEND_MS = 2000;
const PIECE_BYTES = 256 << 10;
const NEWLINE = 0x0a;

export interface LinkSpeed {
  roundTripMs: number;
  /** Of one channel, towards that host. */
  bytesPerSecond: number;
}

export interface Answer {
  report: HostReport;
  link: LinkSpeed;
}

/**
 * @param channel to `lvmsync doctor --answer`
 * @throws LvmsyncError REMOTE_FAILED for what is no answer; PEER_STALLED, CONNECTION_LOST
 */
export async function questionHost(channel: Channel, timeoutMs: number): Promise<Answer> {
  const source = withTimeout(channel.answers, timeoutMs);
  const report = parseHostReport(await readLine(source));
  const writer = createStreamWriter(channel.input);
  const echo = Buffer.alloc(1);
  let roundTripMs = Number.POSITIVE_INFINITY;
  for (let ping = 0; ping < PINGS; ping++) {
    const sentAt = nowMs();
    await writer.write(Buffer.of(ping));
    if ((await source.read(echo)) === 0) throw cut(source);
    roundTripMs = Math.min(roundTripMs, nowMs() - sentAt);
  }
  const piece = randomBytes(PIECE_BYTES);
  const startedAt = nowMs();
  let sentBytes = 0;
  while (sentBytes < SEND_BYTES && nowMs() - startedAt < SEND_MS) {
    await writer.write(piece);
    sentBytes += piece.length;
  }
  channel.input.end();
  await readLine(source);
  const milliseconds = Math.max(nowMs() - startedAt - roundTripMs, 0.1);
  const link = { roundTripMs, bytesPerSecond: (sentBytes / milliseconds) * 1000 };
  await channel.end;
  return { report, link };
}

async function readLine(source: ByteSource): Promise<string> {
  const bytes: Buffer[] = [];
  const buffer = Buffer.alloc(MAX_REPORT_BYTES);
  for (let size = 0; size < MAX_REPORT_BYTES; ) {
    const count = await source.read(buffer.subarray(0, MAX_REPORT_BYTES - size));
    if (count === 0) throw cut(source);
    bytes.push(Buffer.from(buffer.subarray(0, count)));
    size += count;
    // Nothing follows a line before it has been answered.
    if (buffer[count - 1] === NEWLINE) return Buffer.concat(bytes).toString();
  }
  throw new LvmsyncError('REMOTE_FAILED', `${source.description}: its report is too long`, {
    hint: 'install this version of lvmsync there',
  });
}

function cut({ description }: ByteSource): LvmsyncError {
  return new LvmsyncError('REMOTE_FAILED', `${description}: lvmsync there does not answer`, {
    hint: 'install this version of lvmsync there',
  });
}
