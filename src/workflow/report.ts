/** How figures are put in what people read. */

export function inBytes(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let value = bytes;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

export function dateOf(secondsSince1970: number): string {
  return new Date(secondsSince1970 * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
}
