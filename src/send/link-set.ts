/** The links that the records of one transfer go over. */

import { nowMs } from '../clock.js';
import { isTurnOver, nextTurn } from '../extents/turns.js';
import { MAX_PAYLOAD_BYTES } from '../stream/proto4.js';
import type { StreamWriter } from '../transport/stream-writer.js';

export interface LinkSet {
  /**
   * Sends whole records, one behind the other, over a link that takes more now; waits for one.
   *
   * @param settled called for the last of `parts` as a writer's `write` does, unless this throws
   * @throws what any link failed with
   */
  write(parts: readonly Buffer[], settled: (error?: Error) => void): Promise<void>;
  /** Waits until every link has taken what was given to it. @throws what any link failed with */
  finish(): Promise<void>;
  /** How many bytes a record should have at the most, as the links are now. */
  recordBytes(): number;
  /** One more link. What was sent before may still be on its way over the others. */
  add(writer: StreamWriter): void;
}

/**
 * Every record costs either end a few turns, whatever its length: one link that is fast gets long
 * ones, once it has shown that. Several links share the data better in short ones, and over a slow
 * one, or in a short transfer, short ones lose less when it breaks.
 */
const SHORT_RECORD_BYTES = 1 << 20;
const QUICK_BYTES_PER_MS = 32 << 10;
const QUICK_RECORDS = 16;

interface Member {
  writer: StreamWriter;
  /** Until it takes more. */
  busy: Promise<void> | undefined;
}

export function createLinkSet(writers: readonly StreamWriter[]): LinkSet {
  const members: Member[] = writers.map((writer) => ({ writer, busy: undefined }));
  let next = 0;
  /** How many in a row. */
  let quickRecords = 0;
  let failure: { error: unknown } | undefined;

  /** In turn, so that no link falls far behind the others. */
  function freeMember(): Member | undefined {
    for (let i = 0; i < members.length; i++) {
      const member = members[(next + i) % members.length]!;
      if (member.busy !== undefined) continue;
      next = (next + i + 1) % members.length;
      return member;
    }
    return undefined;
  }

  return {
    async write(parts, settled) {
      let member = freeMember();
      while (member === undefined && failure === undefined) {
        await Promise.race(members.map(({ busy }) => busy));
        member = freeMember();
      }
      // What a link takes at once is encrypted in one go.
      if (isTurnOver()) await nextTurn();
      if (failure !== undefined || member === undefined) throw failure?.error;
      const { writer } = member;
      const last = parts.length - 1;
      const writes = parts.map((part, index) =>
        writer.write(part, index === last ? settled : undefined),
      );
      const taken = member;
      const bytes = parts.reduce((sum, { length }) => sum + length, 0);
      const beganAt = nowMs();
      taken.busy = Promise.all(writes).then(
        () => {
          taken.busy = undefined;
          const quickBytes = (nowMs() - beganAt) * QUICK_BYTES_PER_MS;
          const isQuick = quickBytes < Math.max(bytes, SHORT_RECORD_BYTES);
          quickRecords = isQuick ? quickRecords + 1 : 0;
        },
        (error: unknown) => {
          failure ??= { error };
          taken.busy = undefined;
        },
      );
    },
    async finish() {
      await Promise.all(members.map(({ busy }) => busy));
      if (failure !== undefined) throw failure.error;
    },
    recordBytes() {
      const mayBeLong = members.length === 1 && quickRecords >= QUICK_RECORDS;
      return mayBeLong ? MAX_PAYLOAD_BYTES : SHORT_RECORD_BYTES;
    },
    add(writer) {
      members.push({ writer, busy: undefined });
    },
  };
}
