/** A seeded generator: the same seed gives the same test on every machine. */
export interface Random {
  /** A whole number from 0 to 2^32 - 1. */
  uint32(): number;
  /** A whole number from 0 to before `limit`, which is at most 2^53. */
  below(limit: number): number;
  /** True with the given probability. */
  chance(probability: number): boolean;
  pick<T>(values: readonly T[]): T;
  /** Shuffles in place (Fisher and Yates). */
  shuffle<T>(values: T[]): T[];
  /** Random bytes. */
  bytes(count: number): Buffer;
}

/** Bob Jenkins' small fast generator (jsf32): good enough for tests, and a few lines long. */
export function createRandom(seed: number): Random {
  let a = 0xf1ea5eed;
  let b = seed | 0;
  let c = b;
  let d = b;

  function uint32(): number {
    const e = (a - ((b << 27) | (b >>> 5))) | 0;
    a = b ^ ((c << 17) | (c >>> 15));
    b = (c + d) | 0;
    c = (d + e) | 0;
    d = (e + a) | 0;
    return d >>> 0;
  }
  for (let round = 0; round < 20; round++) uint32();

  function fraction(): number {
    return ((uint32() >>> 5) * 2 ** 26 + (uint32() >>> 6)) / 2 ** 53;
  }
  function below(limit: number): number {
    return Math.floor(fraction() * limit);
  }
  return {
    uint32,
    below,
    chance: (probability) => fraction() < probability,
    pick: (values) => values[below(values.length)]!,
    shuffle(values) {
      for (let last = values.length - 1; last > 0; last--) {
        const other = below(last + 1);
        [values[last], values[other]] = [values[other]!, values[last]!];
      }
      return values;
    },
    bytes(count) {
      const bytes = Buffer.alloc(count);
      for (let index = 0; index < count; index++) bytes[index] = uint32();
      return bytes;
    },
  };
}
