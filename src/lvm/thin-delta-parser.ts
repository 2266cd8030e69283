/**
 * Reads what `thin_delta` prints, a line at a time. It is XML by its looks only: a program writes
 * it, an element to a line, always alike (0.9.0 and 1.1.0 differ in the count of data blocks and in
 * the last newline). So each line is held against the one form that it may have, and anything else
 * ends the reading: a form that is not known might say what is not understood.
 */
import { LvmsyncError } from '../errors.js';

/** `left` is the older volume: `left_only` is what the newer one has discarded. */
export type DeltaKind = 'same' | 'different' | 'left_only' | 'right_only';

export interface ThinDeltaExpectation {
  /** The ids that were asked for. */
  leftId: number;
  rightId: number;
  chunkBytes: number;
  /** Told every range, in chunks; they ascend and do not overlap. */
  onRange(kind: DeltaKind, begin: number, length: number): void;
}

export interface ThinDeltaParser {
  /** @throws LvmsyncError TOOL_FAILED */
  add(chunk: Buffer): void;
  /** To be called at the end of the output. @throws LvmsyncError TOOL_FAILED when it is not whole */
  end(): void;
}

const MAX_LINE_CHARACTERS = 1024;
const SECTOR_BYTES = 512;

const SUPERBLOCK = /^<superblock (?:[a-z_]+="[^"<>&]*" ?)+>$/;
const CHUNK_SECTORS = / data_block_size="(\d+)"/;
const DIFF = /^<diff left="(\d+)" right="(\d+)">$/;
const RANGE = /^<(same|different|left_only|right_only) begin="(\d+)" length="(\d+)"\/>$/;

export function createThinDeltaParser(expected: ThinDeltaExpectation): ThinDeltaParser {
  let state: 'start' | 'superblock' | 'diff' | 'diff-ended' | 'ended' = 'start';
  let lineNumber = 0;
  let rest = '';
  let previousEnd = 0;

  function parseLine(line: string): void {
    lineNumber++;
    if (line === '') return;
    if (state === 'diff' && line !== '</diff>') parseRange(line);
    else if (state === 'diff') state = 'diff-ended';
    else if (state === 'start' && SUPERBLOCK.test(line)) {
      checkNumber(line, CHUNK_SECTORS.exec(line)?.[1], expected.chunkBytes / SECTOR_BYTES);
      state = 'superblock';
    } else if (state === 'superblock' && DIFF.test(line)) {
      const [, left, right] = DIFF.exec(line) ?? [];
      checkNumber(line, left, expected.leftId);
      checkNumber(line, right, expected.rightId);
      state = 'diff';
    } else if (state === 'diff-ended' && line === '</superblock>') state = 'ended';
    else throw unreadable(line);
  }

  function parseRange(line: string): void {
    const match = RANGE.exec(line);
    if (match === null) throw unreadable(line);
    const begin = Number(match[2]);
    const length = Number(match[3]);
    const end = begin + length;
    if (length === 0 || !Number.isSafeInteger(end) || begin < previousEnd) throw unreadable(line);
    previousEnd = end;
    expected.onRange(match[1] as DeltaKind, begin, length);
  }

  function checkNumber(line: string, word: string | undefined, wanted: number): void {
    if (word === undefined || Number(word) !== wanted) throw unreadable(line);
  }

  function unreadable(line: string): LvmsyncError {
    const shown = line.length > 100 ? `${line.slice(0, 100)}...` : line;
    return unreadableError(`line ${lineNumber}: ${JSON.stringify(shown)}`);
  }

  return {
    add(chunk) {
      const lines = (rest + chunk.toString('latin1')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) parseLine(line.trim());
      if (rest.length <= MAX_LINE_CHARACTERS) return;
      lineNumber++;
      throw unreadable(rest);
    },
    end() {
      parseLine(rest.trim());
      if (state !== 'ended') throw unreadableError(`it ends after line ${lineNumber}`);
    },
  };
}

function unreadableError(where: string): LvmsyncError {
  return new LvmsyncError('TOOL_FAILED', `thin_delta printed what lvmsync cannot read: ${where}`, {
    hint: 'report it, with the version of thin-provisioning-tools (thin_delta --version)',
  });
}
