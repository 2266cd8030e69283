/** Which blocks of `blockBytes` in `bytes` are all zeroes, the last of which may be shorter. */
export function findZeroBlocks(bytes: Buffer, blockBytes: number): Uint8Array {
  const zeroes = Buffer.alloc(blockBytes);
  const found = new Uint8Array(Math.ceil(bytes.length / blockBytes));
  for (let block = 0; block < found.length; block++) {
    const start = block * blockBytes;
    const end = Math.min(start + blockBytes, bytes.length);
    found[block] = bytes.compare(zeroes, 0, end - start, start, end) === 0 ? 1 : 0;
  }
  return found;
}
