/**
 * A growing set of block numbers: a bitmap whose pages exist only where a block was added, so
 * that it costs what the changes cost and not what the volume's size would.
 */
export interface BlockSet {
  has(block: number): boolean;
  add(block: number): void;
}

const PAGE_BLOCKS = 32768;

export function createBlockSet(): BlockSet {
  const pages = new Map<number, Uint8Array>();
  return {
    has(block) {
      const page = pages.get(Math.floor(block / PAGE_BLOCKS));
      if (page === undefined) return false;
      const bit = block % PAGE_BLOCKS;
      return (page[bit >> 3]! & (1 << (bit & 7))) !== 0;
    },
    add(block) {
      const number = Math.floor(block / PAGE_BLOCKS);
      let page = pages.get(number);
      if (page === undefined) {
        page = new Uint8Array(PAGE_BLOCKS / 8);
        pages.set(number, page);
      }
      const bit = block % PAGE_BLOCKS;
      page[bit >> 3]! |= 1 << (bit & 7);
    },
  };
}
