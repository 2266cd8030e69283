/** SHA-256 (FIPS 180-4): of what is short by an engine that has it, else by Node. */
import { createHash, type Hash } from 'node:crypto';
import { checksumsAtOnce } from './at-once.js';

/** More is hashed as it comes. */
const SHORT_BYTES = 64 << 10;

export interface Sha256 {
  /** The bytes may be changed once it has returned. */
  update(bytes: Uint8Array): Sha256;
  /** 32 bytes. */
  digest(): Buffer;
}

/** Of all that it is given, piece by piece. */
export function createSha256(): Sha256 {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  let long: Hash | undefined;

  function takeLong(piece: Uint8Array): void {
    if (long === undefined) {
      long = createHash('sha256');
      for (const earlier of pieces.splice(0)) long.update(earlier);
    }
    long.update(piece);
  }

  const hash: Sha256 = {
    update(piece) {
      bytes += piece.length;
      if (bytes > SHORT_BYTES) takeLong(piece);
      else pieces.push(Buffer.from(piece));
      return hash;
    },
    digest: () => long?.digest() ?? digestAtOnce(Buffer.concat(pieces)),
  };
  return hash;
}

function digestAtOnce(bytes: Buffer): Buffer {
  return checksumsAtOnce()?.sha256?.(bytes) ?? createHash('sha256').update(bytes).digest();
}

/** In hexadecimal. */
export function sha256Hex(text: string): string {
  return digestAtOnce(Buffer.from(text)).toString('hex');
}
