/** Command names that were mistyped: the classic command line would take them for a snapshot. */
import { existsSync } from 'node:fs';

/** So many letters may be wrong, and no more than a third of them. */
const MAX_WRONG_LETTERS = 2;

/**
 * The command that a first word was probably meant to be, when it is no command and no file;
 * volumes have a `/` in their names.
 */
export function meantCommand(
  first: string | undefined,
  commands: readonly string[],
): string | undefined {
  if (first === undefined || first.includes('/') || existsSync(first)) return undefined;
  return nearest(first, commands);
}

/** Undefined when none is near enough. */
function nearest(word: string, candidates: readonly string[]): string | undefined {
  const allowed = Math.min(MAX_WRONG_LETTERS, Math.floor(word.length / 3));
  const distances = candidates.map((candidate) => editDistance(word.toLowerCase(), candidate));
  const least = Math.min(...distances);
  return least <= allowed ? candidates[distances.indexOf(least)] : undefined;
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      row[j] = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + cost);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j]!, rows[i - 2]![j - 2]! + 1);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
