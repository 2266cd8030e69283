/** Lets a bounded number through at a time, in the order they came. */
export interface Gate {
  enter(): Promise<void>;
  /** To be called once by everybody who was let in. */
  leave(): void;
}

export function createGate(places: number): Gate {
  const waiting: (() => void)[] = [];
  let free = places;
  return {
    async enter() {
      if (free === 0) return new Promise((resolve) => waiting.push(resolve));
      free--;
    },
    leave() {
      const next = waiting.shift();
      if (next) next();
      else free++;
    },
  };
}
