import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { type CommandOptions, type CommandResult, runCommand } from '../support/command.js';
import { lvmsyncPath, repositoryRoot } from '../support/repository.js';

export const HANDSHAKE = Buffer.from('lvmsync PROTO[3]\n');

/** One record of a PROTO[3] stream. */
export interface ClassicRecord {
  offset: number;
  data: Buffer;
}

/** One of the recorded files of test/fixtures/classic, unpacked. */
export function fixture(name: string): Buffer {
  return gunzipSync(readFileSync(fixturePath(`${name}.gz`)));
}

function fixturePath(name: string): string {
  return join(repositoryRoot, 'test', 'fixtures', 'classic', name);
}

/** The records of a whole stream, in its order. Written for the tests: throws on any defect. */
export function decodeStream(stream: Buffer): ClassicRecord[] {
  if (!stream.subarray(0, HANDSHAKE.length).equals(HANDSHAKE)) throw new Error('no handshake');
  const records: ClassicRecord[] = [];
  for (let at = HANDSHAKE.length; at < stream.length; ) {
    const offset = Number(stream.readBigUInt64BE(at));
    const length = stream.readUInt32BE(at + 8);
    const data = stream.subarray(at + 12, at + 12 + length);
    if (data.length !== length) throw new Error('the stream is cut short');
    records.push({ offset, data });
    at += 12 + length;
  }
  return records;
}

export function encodeStream(records: readonly ClassicRecord[]): Buffer {
  const parts: Buffer[] = [HANDSHAKE];
  for (const { offset, data } of records) {
    const header = Buffer.alloc(12);
    header.writeBigUInt64BE(BigInt(offset));
    header.writeUInt32BE(data.length, 8);
    parts.push(header, data);
  }
  return Buffer.concat(parts);
}

/** What an image holds after the records, one after the other. */
export function withRecords(image: Buffer, records: readonly ClassicRecord[]): Buffer {
  const result = Buffer.from(image);
  for (const { offset, data } of records) data.copy(result, offset);
  return result;
}

/**
 * The recorded origin, as far as it matters: the chunks that are in the streams, checked against
 * their recorded sums, and zero elsewhere.
 */
export function recordedOrigin(): Buffer {
  const sums = JSON.parse(readFileSync(fixturePath('origin-chunks.json'), 'utf8')) as {
    sizeBytes: number;
    sha256ByOffset: Record<string, string>;
  };
  const records = ['ruby-sender-3.stream', 'ruby-sender-256.stream'].flatMap((name) =>
    decodeStream(fixture(name)),
  );
  for (const { offset, data } of records) {
    const sum = createHash('sha256').update(data).digest('hex');
    if (sum !== sums.sha256ByOffset[offset]) throw new Error(`chunk at ${offset} is not as it was`);
  }
  return withRecords(Buffer.alloc(sums.sizeBytes), records);
}

/** The chunks that a store of one metadata area holds: what the snapshot shows in their place. */
export function storedChunks(store: Buffer): ClassicRecord[] {
  const chunkBytes = store.readUInt32LE(12) * 512;
  const chunks: ClassicRecord[] = [];
  for (let entry = chunkBytes; entry < 2 * chunkBytes; entry += 16) {
    const newChunk = Number(store.readBigUInt64LE(entry + 8));
    if (newChunk === 0) break;
    const start = newChunk * chunkBytes;
    const offset = Number(store.readBigUInt64LE(entry)) * chunkBytes;
    chunks.push({ offset, data: store.subarray(start, start + chunkBytes) });
  }
  return chunks;
}

/** A directory for a test file, with a stand-in for ssh and both programs named `lvmsync`. */
export interface Workbench {
  path(name: string): string;
  write(name: string, content: Buffer): string;
  /** Runs our lvmsync; on the far side of `rsh`, `lvmsync` is the one that `far` says. */
  lvmsync(args: readonly string[], options?: RunOptions): Promise<CommandResult>;
  originalSender(args: readonly string[], options?: RunOptions): Promise<CommandResult>;
  originalReceiver(args: readonly string[], input: Buffer): Promise<CommandResult>;
  /** For `-e`: runs what follows the host through sh, as sshd does. */
  rsh: string;
  /** The argument lists that the original receiver was started with since the last call. */
  receivedArguments(): string[][];
  remove(): void;
}

export interface RunOptions extends CommandOptions {
  far?: 'original' | 'ours';
}

export function createWorkbench(): Workbench {
  const directory = mkdtempSync(join(tmpdir(), 'lvmsync-interop-'));
  const path = (name: string) => join(directory, name);
  const write = (name: string, content: Buffer | string, mode = 0o644) => {
    writeFileSync(path(name), content);
    chmodSync(path(name), mode);
    return path(name);
  };
  const log = write('arguments', '');
  const peer = (name: string) => fileURLToPath(new URL(`${name}.js`, import.meta.url));
  mkdirSync(path('original'));
  mkdirSync(path('ours'));
  const exec = `#!/bin/sh\nexec '${process.execPath}' '${peer('original-receiver')}' "$@"\n`;
  write('original/lvmsync', exec, 0o755);
  symlinkSync(lvmsyncPath, path('ours/lvmsync'));
  const rsh = write('rsh', '#!/bin/sh\nhost=$1\nshift\nPATH=$FAR:$PATH exec sh -c "$*"\n', 0o755);
  const run = (args: readonly string[], { far = 'original', ...options }: RunOptions = {}) =>
    runCommand(process.execPath, args, {
      ...options,
      env: { ORIGINAL_LOG: log, FAR: path(far), ...options.env },
    });
  return {
    path,
    write: (name, content) => write(name, content),
    lvmsync: (args, options) => run([lvmsyncPath, ...args], options),
    originalSender: (args, options) => run([peer('original-sender'), ...args], options),
    originalReceiver: (args, input) => run([peer('original-receiver'), ...args], { input }),
    rsh,
    receivedArguments() {
      const lines = readFileSync(log, 'utf8').split('\n').filter(Boolean);
      writeFileSync(log, '');
      return lines.map((line) => JSON.parse(line) as string[]);
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
