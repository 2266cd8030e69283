import { checksumsAtOnce } from './at-once.js';

/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82f63b78; RFC 3720 appendix B.4), eight bytes a
 * step by tables ("slicing by 8"). The native engine has an instruction for it.
 */
const POLYNOMIAL = 0x82f63b78;

let slices: Uint32Array[] | undefined;

function createSlices(): Uint32Array[] {
  const first = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    first[byte] = crc;
  }
  const all = [first];
  for (let slice = 1; slice < 8; slice++) {
    const before = all[slice - 1]!;
    all.push(before.map((crc) => (crc >>> 8) ^ first[crc & 0xff]!));
  }
  return all;
}

/** The CRC-32C of `bytes`, going on from `seed`, the CRC of what came before them. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  return checksumsAtOnce()?.crc32c(bytes, seed) ?? crc32cByTables(bytes, seed);
}

/** The same without an engine. */
export function crc32cByTables(bytes: Uint8Array, seed = 0): number {
  slices ??= createSlices();
  const [t0, t1, t2, t3, t4, t5, t6, t7] = slices as [
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
  ];
  let crc = ~seed;
  let i = 0;
  for (const end = bytes.length - 7; i < end; i += 8) {
    crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    crc =
      t7[crc & 0xff]! ^
      t6[(crc >>> 8) & 0xff]! ^
      t5[(crc >>> 16) & 0xff]! ^
      t4[crc >>> 24]! ^
      t3[bytes[i + 4]!]! ^
      t2[bytes[i + 5]!]! ^
      t1[bytes[i + 6]!]! ^
      t0[bytes[i + 7]!]!;
  }
  for (; i < bytes.length; i++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[i]!) & 0xff]!;
  return ~crc >>> 0;
}
