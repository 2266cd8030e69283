/** Which blocks of `blockBytes` are the same in both, the last of which may be shorter. */
export function findEqualBlocks(one: Buffer, other: Buffer, blockBytes: number): Uint8Array {
  if (one.length !== other.length) throw new TypeError('both must be as long');
  const found = new Uint8Array(Math.ceil(one.length / blockBytes));
  for (let block = 0; block < found.length; block++) {
    const start = block * blockBytes;
    const end = Math.min(start + blockBytes, one.length);
    found[block] = one.compare(other, start, end, start, end) === 0 ? 1 : 0;
  }
  return found;
}
