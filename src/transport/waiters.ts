/** Those who wait for something to change; each looks for itself whether it was what it waits for. */
export interface Waiters {
  /** Resolves at the next `wake`. */
  wait(): Promise<void>;
  wake(): void;
}

export function createWaiters(): Waiters {
  const waiting = new Set<() => void>();
  return {
    wait: () => new Promise((resolve) => waiting.add(resolve)),
    wake() {
      for (const resolve of waiting) resolve();
      waiting.clear();
    },
  };
}
