/** Several that switch all or none: a decision once each is ready, or none once one cannot. */

export interface Vote {
  /** Resolves when it is decided that all switch; rejects when one has vetoed. */
  ready(voter: number): Promise<void>;
  /** Has no effect once it is being decided. */
  veto(reason: unknown): void;
}

/** @param decide makes the decision durable; where it fails, so does the vote */
export function createVote(voterCount: number, decide: () => Promise<void>): Vote {
  const voters = new Set<number>();
  let isClosed = false;
  let settle: (outcome: Promise<void>) => void = () => {};
  const outcome = new Promise<void>((resolve) => {
    settle = resolve;
  });
  outcome.catch(() => undefined); // whoever is ready meets it
  return {
    ready(voter) {
      voters.add(voter);
      if (voters.size === voterCount && !isClosed) {
        isClosed = true;
        settle(decide());
      }
      return outcome;
    },
    veto(reason) {
      if (isClosed) return;
      isClosed = true;
      settle(Promise.reject(reason));
    },
  };
}
