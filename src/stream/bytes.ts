/** Bytes to be read in order, such as standard input, a file or a channel's output. */
export interface ByteSource {
  /** For messages: `standard input`, a path. */
  readonly description: string;
  /** Fills the start of `into`, at least one byte; resolves to how many, 0 at the end. */
  read(into: Buffer): Promise<number>;
}
