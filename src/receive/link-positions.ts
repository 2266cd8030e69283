/** How far the links of a transfer have got, each by itself and all together. */

export interface LinkPosition {
  /** To be called with the first offset of each record that has come over the link. */
  note(offset: number): void;
  /** No more will come. */
  end(): void;
}

export interface LinkPositions {
  /** One more link. What will come over it is sent after all that has come so far. */
  open(): LinkPosition;
  /** How many have been opened. */
  count(): number;
  /** Below it nothing is to come any more; undefined when the records of a link do not ascend. */
  lowest(): number | undefined;
}

export function createLinkPositions(): LinkPositions {
  const open = new Set<{ offset: number }>();
  let openedCount = 0;
  let highest = 0;
  let ascending = true;
  return {
    open() {
      const link = { offset: highest };
      open.add(link);
      openedCount++;
      return {
        note(offset) {
          ascending &&= offset >= link.offset;
          link.offset = offset;
          highest = Math.max(highest, offset);
        },
        end: () => void open.delete(link),
      };
    },
    count: () => openedCount,
    lowest() {
      if (!ascending) return undefined;
      let lowest = highest;
      for (const { offset } of open) lowest = Math.min(lowest, offset);
      return lowest;
    },
  };
}
