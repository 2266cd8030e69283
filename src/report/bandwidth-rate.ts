/** Rates as rsync's `--bwlimit` takes them. */

const MULTIPLES: Readonly<Record<string, number>> = { k: 1, m: 2, g: 3, t: 4 };
const MIN_BYTES_PER_SECOND = 1024;
const MAX_BYTES_PER_SECOND = 1e15;

/**
 * A number, with a fraction if need be, of KiB a second unless a suffix says otherwise: K, M, G and
 * T (or KiB and so on) are of 1024, KB and so on of 1000, B is bytes.
 *
 * @returns bytes a second; 0 for no limit; undefined for what is no rate, or less than 1 KiB
 */
export function parseRate(text: string): number | undefined {
  const match = /^(\d{1,12}(?:\.\d{0,6})?|\.\d{1,6})(?:([kmgt])(ib|b)?|(b))?$/i.exec(text);
  if (match === null) return undefined;
  const [, digits, letter = 'k', ending, inBytes] = match;
  const base = ending?.toLowerCase() === 'b' ? 1000 : 1024;
  const unit = inBytes === undefined ? base ** (MULTIPLES[letter.toLowerCase()] ?? 0) : 1;
  const rate = Math.round(Number(digits) * unit);
  if (rate === 0 && Number(digits) === 0) return 0;
  return rate >= MIN_BYTES_PER_SECOND && rate <= MAX_BYTES_PER_SECOND ? rate : undefined;
}
