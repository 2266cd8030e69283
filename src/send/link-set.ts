/** The links that the records of one transfer go over. */
import { isTurnOver, nextTurn } from '../extents/turns.js';
import type { StreamWriter } from '../transport/stream-writer.js';

export interface LinkSet {
  /**
   * Sends whole records, one behind the other, over a link that takes more now; waits for one.
   *
   * @param released called once, when the last of `parts` may be used again
   * @throws what any link failed with
   */
  write(parts: readonly Buffer[], released: () => void): Promise<void>;
  /** Waits until every link has taken what was given to it. @throws what any link failed with */
  finish(): Promise<void>;
  /** One more link. What was sent before may still be on its way over the others. */
  add(writer: StreamWriter): void;
}

interface Member {
  writer: StreamWriter;
  /** Until it takes more. */
  busy: Promise<void> | undefined;
}

export function createLinkSet(writers: readonly StreamWriter[]): LinkSet {
  const members: Member[] = writers.map((writer) => ({ writer, busy: undefined }));
  let next = 0;
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
    async write(parts, released) {
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
        writer.write(part, index === last ? released : undefined),
      );
      const taken = member;
      taken.busy = Promise.all(writes).then(
        () => {
          taken.busy = undefined;
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
    add(writer) {
      members.push({ writer, busy: undefined });
    },
  };
}
