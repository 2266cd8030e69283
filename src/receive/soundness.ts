/** What goes on beside the reading of a conversation, and may fail while its next record is awaited. */
export interface Soundness {
  /** The outcome of `work`, unless what goes on beside it fails first or has failed. */
  whileSound<T>(work: Promise<T>): Promise<T>;
  /** Tells of a failure; later ones are of no interest. */
  fail(error: unknown): void;
}

/**
 * For one `whileSound` at a time. Not Promise.race: a promise that stays open would collect what
 * waits for it, record by record.
 */
export function createSoundness(): Soundness {
  let failure: { error: unknown } | undefined;
  let onFailure: (error: unknown) => void = () => {};
  return {
    whileSound: (work) =>
      new Promise((resolve, reject) => {
        onFailure = reject;
        if (failure !== undefined) reject(failure.error);
        work.then(resolve, reject);
      }),
    fail(error) {
      failure ??= { error };
      onFailure(failure.error);
    },
  };
}
