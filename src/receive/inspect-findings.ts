/** What is found out about a stream or a snapback. */
import { LvmsyncError } from '../errors.js';
import { type Coverage, createCoverage } from '../extents/coverage.js';

export interface Inspection {
  kind: 'proto3' | 'stream' | 'undo-log' | 'spool' | 'unknown';
  /**
   * - `whole`: it has its end, and all checksums and the digest are right
   * - `unproven`: nothing wrong was found, but the format (PROTO[3]) has nothing to prove it with
   * - `unended`: an undo log without its end, every record of which is right: of a run that was
   *   cut, or itself cut later
   * - `truncated`, `damaged`: see `problem`
   */
  state: 'whole' | 'unproven' | 'unended' | 'truncated' | 'damaged';
  /** What is wrong, and at which byte of the file. */
  problem: { message: string; offset: number } | undefined;
  /** When the file was last written, in milliseconds since 1970; undefined for standard input. */
  modifiedAtMs: number | undefined;
  /** Size of the file; of standard input, what was read of it. */
  fileBytes: number;
  /** From the start to the end of the last record that is right. */
  wholeBytes: number;
  records: { data: number; zero: number; discard: number };
  /** Ranges in all the records. */
  extentCount: number;
  /** Sum of the lengths of all ranges. */
  dataBytes: number;
  /** Records whose data are compressed; and how many were not tried, as this Node has no zstd. */
  compressedRecords: number;
  undecodedRecords: number;
  /** What it says of itself; undefined for PROTO[3]. */
  header: InspectedHeader | undefined;
  coverage: Coverage;
}

export interface InspectedHeader {
  /** Of the lvmsync that wrote it. */
  version: string;
  /** Of a stream the source, of a snapback or a spool the target: as `identify` gives it. */
  id: string;
  /** Size of the volume. */
  sizeBytes: number;
  chunkBytes: number;
  /** What a stream was to hold when it was begun. */
  announced: { extentCount: number; dataBytes: number } | undefined;
  /** Of an undo log. */
  log: { id: string; begunAtMs: number | undefined } | undefined;
}

/** What the two protocols fill in as they go. */
export type Findings = Inspection;

export function nothingYet(): Findings {
  return {
    kind: 'unknown',
    state: 'damaged',
    problem: undefined,
    modifiedAtMs: undefined,
    fileBytes: 0,
    wholeBytes: 0,
    records: { data: 0, zero: 0, discard: 0 },
    extentCount: 0,
    dataBytes: 0,
    compressedRecords: 0,
    undecodedRecords: 0,
    header: undefined,
    coverage: createCoverage(),
  };
}

export function interruptedRead(description: string): LvmsyncError {
  return new LvmsyncError('INTERRUPTED', `interrupted while reading ${description}`, {
    hint: 'nothing was changed; run the same command again',
  });
}
