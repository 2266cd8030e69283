/** Bytes to be read in order, such as standard input, a file or a channel's output. */
export interface ByteSource {
  /** For messages: `standard input`, a path. */
  readonly description: string;
  /** Fills the start of `into`, at least one byte; resolves to how many, 0 at the end. */
  read(into: Buffer): Promise<number>;
  /**
   * The same, with the CRC-32C of what was read, going on from `crcSeed`. Missing where that would
   * be no faster.
   */
  readonly readChecked?: (into: Buffer, crcSeed: number) => Promise<CheckedBytes>;
}

export interface CheckedBytes {
  bytes: number;
  crc: number;
}

/** The source, with something around each of its reads. */
export function withEachRead(
  source: ByteSource,
  around: <T>(read: () => Promise<T>) => Promise<T>,
): ByteSource {
  const { readChecked } = source;
  return {
    description: source.description,
    read: (into) => around(() => source.read(into)),
    ...(readChecked && {
      readChecked: (into, crcSeed) => around(() => readChecked(into, crcSeed)),
    }),
  };
}
