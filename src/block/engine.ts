import type { ByteSource } from '../stream/bytes.js';
import type { Batch, Ranges } from './batch.js';
import type { IoLimits } from './io-limits.js';

/**
 * Block I/O behind one interface. The native engine and the js engine are interchangeable: the
 * same bytes, the same errors, and neither blocks the event loop.
 */
export interface Engine {
  readonly name: 'native' | 'js';
  /** How the native engine carries out its requests, for -v. */
  readonly backend?: 'io_uring' | 'threads';
  readonly limits: IoLimits;
  /** Page-aligned memory, zeroed. */
  allocate(bytes: number): Buffer;
  /**
   * Takes memory of `allocate` back, which nobody uses any more, sooner than V8 would: it counts it
   * as old memory of its own, and collects all of its garbage in one go for some dozens of mebibytes.
   */
  release?(memory: Buffer): void;
  /** The CRC-32C of `bytes`, going on from `seed`, the CRC of what came before them. */
  crc32c(bytes: Buffer, seed?: number): Promise<number>;
  /**
   * Which blocks of `blockBytes` in `bytes` are all zeroes: for each block 1 or 0. The last block
   * may be shorter.
   */
  findZeroBlocks(bytes: Buffer, blockBytes: number): Promise<Uint8Array>;
  /**
   * Both in one look, for who leaves out blocks of zeroes: the CRC-32C of `bytes`, going on from
   * `crcSeed`, or where a block of them is all zeroes what `findZeroBlocks` answers.
   */
  examine(bytes: Buffer, blockBytes: number, crcSeed: number): Promise<number | Uint8Array>;
  /**
   * Which blocks of `blockBytes` are the same in two buffers of one length: for each block 1 or 0.
   * The last block may be shorter.
   */
  findEqualBlocks(one: Buffer, other: Buffer, blockBytes: number): Promise<Uint8Array>;
  /**
   * The content hash of every piece of a batch that has been read, one behind the other: see
   * `contentHash`. The batch must not be touched until the promise settles.
   */
  hashPieces(batch: Batch): Promise<Buffer>;
  /**
   * The bytes of a pipe or socket, a large part of a buffer at a time, past Node's streams. What
   * was read from it in another way before is lost. Where it is missing, a stream has to do.
   */
  readInput?(fd: number, description: string): ByteSource;
  /**
   * Listens on a unix socket, which it makes, and reads past Node's streams. Where it is missing, a
   * server of Node's has to do.
   *
   * @param path an abstract one where it begins with a NUL; the address is filled up with them
   * @throws Error that says why it cannot, with the errno's name as its `code`
   */
  listenUnix?(path: string): Listening;
  /**
   * A link over a connected socket of Node's, which stays Node's to close, but which it does not
   * read or write any more. Where it is missing, the socket itself has to do.
   *
   * @throws Error that says why it cannot
   */
  adoptSocket?(fd: number): EngineLink;
  /**
   * Listens for TLS 1.3 by the key alone, on a free port of a numeric address, and reads past
   * Node's streams. Where it is missing, Node's own TLS has to do.
   *
   * @throws Error that says why it cannot
   */
  listenTls?(host: string, key: TlsKey): TlsListening;
  /**
   * Connects by TLS 1.3 to a numeric address, and to nobody who does not have the key.
   *
   * @throws Error that says why it cannot
   */
  connectTls?(address: TlsAddress, key: TlsKey, timeoutMs: number): Promise<EngineLink>;
  /**
   * Seals what is sent over SSH by AES-GCM, many packets in one call. Where it is missing, or
   * answers undefined, ssh2's own cipher has to do.
   *
   * @param key 16 or 32 bytes
   * @param iv 12 bytes
   */
  createSshSealer?(key: Buffer, iv: Buffer): SshSealer | undefined;
  /**
   * Opens a block device or a regular file with O_DIRECT (buffered where a file system has no
   * O_DIRECT). Never creates, never truncates.
   *
   * @throws LvmsyncError OPEN_FAILED; TARGET_IN_USE when `exclusive` meets a held device (EBUSY)
   */
  open(path: string, options: OpenOptions): Promise<BlockFile>;
}

/** Of one direction of an SSH connection: what it seals has to be sent in the order of its calls. */
export interface SshSealer {
  /** `packet` is a whole one (RFC 4253, section 6), with 16 bytes behind it for its tag. */
  sealPacket(packet: Buffer): void;
  /**
   * @param packetBytes the most data that the server takes in one message
   * @param into has room for 49 bytes more than the data for each packet
   * @returns how many of its bytes are packets now
   */
  sealData(channel: number, packetBytes: number, data: Buffer, into: Buffer): number;
  close(): void;
}

export interface TlsKey {
  identity: string;
  /** 32 bytes. */
  psk: Buffer;
}

export interface TlsAddress {
  host: string;
  port: number;
}

export interface Listening {
  /** The next link, whoever it is: with TLS its first read proves the key. Undefined after `close`. */
  accept(): Promise<EngineLink | undefined>;
  /** What was accepted stays, and so does the path of a unix socket. */
  close(): void;
}

export interface TlsListening extends Listening {
  readonly port: number;
}

/** Each read and each write keeps a thread of the engine's busy: one of either at a time. */
export interface EngineLink {
  readonly source: ByteSource;
  /** Resolves when the bytes have been taken. With TLS, the one who was connected to reads before. */
  write(bytes: Buffer): Promise<void>;
  /** Tells the other end that nothing more will be written. */
  end(): Promise<void>;
  /** What is under way fails. */
  close(): void;
}

export interface OpenOptions {
  /** `write` allows reading too. */
  mode: 'read' | 'write';
  /** Block devices only: fail when the device is mounted or otherwise held (O_EXCL). */
  exclusive?: boolean;
}

/** An open block device or regular file. */
export interface BlockFile {
  readonly path: string;
  readonly kind: 'block-device' | 'file';
  readonly sizeBytes: number;
  /** Alignment that O_DIRECT needs of offset, length and memory: the logical block size. */
  readonly blockBytes: number;
  /**
   * Reads every piece of the batch to its place in the batch's buffer. Pieces may have any
   * offset, length and position; aligned ones are fastest. The batch must not be touched until
   * the promise settles.
   *
   * @throws LvmsyncError READ_FAILED with errno, path and the byte offset of the failing piece;
   *   PAST_END when a piece ends beyond `sizeBytes`
   */
  read(batch: Batch): Promise<void>;
  /**
   * Writes every piece of the batch. The pieces of one batch, and of batches in flight at the
   * same time, must not overlap on the device: their order is not defined.
   *
   * @throws LvmsyncError WRITE_FAILED with errno, path and offset; PAST_END (nothing is written)
   */
  write(batch: Batch): Promise<void>;
  /**
   * Makes every range read as zeroes: the kernel does it where it can (BLKZEROOUT on a device, a
   * hole in a file), and zeroes are written where it cannot, or to what is short or not aligned.
   * The js engine writes always, since Node cannot ask the kernel. As for `write`, what is in
   * flight must not overlap; the ranges must not be touched until the promise settles.
   *
   * @throws LvmsyncError as `write`
   */
  zero(ranges: Ranges): Promise<void>;
  /**
   * What `zero` does to a range that is shorter than this is to write zeroes: where they lie beside
   * data, one write of both is faster. 0 where it does not write without looking.
   */
  readonly writesZeroesBelow: number;
  /**
   * As `zero`, and gives the ranges' space back where there is a way that is known to leave zeroes:
   * chunks of a thin volume, devices that promise it, files. Elsewhere it is `zero`.
   *
   * @throws LvmsyncError as `write`; READ_FAILED
   */
  discard(ranges: Ranges): Promise<void>;
  /**
   * Makes all completed writes durable (fsync). Once it has failed it always fails.
   *
   * @throws LvmsyncError FLUSH_FAILED; WRITE_FAILED when what is written has become smaller
   */
  flush(): Promise<void>;
  /** Waits for what is in flight, then closes. Later calls do nothing. */
  close(): Promise<void>;
}
