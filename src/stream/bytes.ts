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

/**
 * Where bytes go, in order: as much of one of Node's streams as is used here, so that it need not be
 * one. Loading those takes longer than a small transfer within this process.
 */
export interface ByteSink {
  /** `written` is called once: when `bytes` may be reused, or with what they failed with. */
  write(bytes: Buffer, written?: (failure?: Error | null) => void): unknown;
  /** There is enough for now: `drain` is told when there is room again. */
  readonly writableNeedDrain: boolean;
  /** Nothing more will be written. */
  end(): unknown;
  readonly writableEnded: boolean;
  /** What has not been taken fails, with `reason`. */
  destroy(reason?: Error): unknown;
  readonly destroyed: boolean;
  on(event: 'error', listener: (failure: Error) => void): unknown;
  on(event: 'close' | 'drain', listener: () => void): unknown;
}

const PASS_BYTES = 64 << 10;

/** Reads to the end. @throws what a read throws */
export async function passOn(source: ByteSource, onBytes: (bytes: Buffer) => void): Promise<void> {
  const into = Buffer.alloc(PASS_BYTES);
  for (;;) {
    const readBytes = await source.read(into);
    if (readBytes === 0) return;
    onBytes(Buffer.from(into.subarray(0, readBytes)));
  }
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
