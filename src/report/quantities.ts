/** Amounts as a person reads them. */

export function inBytes(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let unit = 0;
  let value = bytes;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** `3 extents`, `1 extent`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** @param share from 0 to 1; what is not nothing is never shown as `0%` */
export function inPercent(share: number): string {
  const percent = share * 100;
  if (percent === 0) return '0%';
  if (percent < 0.01) return '<0.01%';
  return `${percent.toFixed(percent < 1 ? 2 : 1)}%`;
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

/** The two largest units that matter: `2 h 5 min`, `42 s`. */
export function inTime(seconds: number): string {
  if (seconds < 0.1) return 'less than 0.1 s';
  if (seconds < 9.95) return `${seconds.toFixed(1).replace(/\.0$/, '')} s`;
  if (seconds >= 10 * YEAR) return 'more than 10 years';
  const whole = Math.round(seconds);
  if (whole < MINUTE) return `${whole} s`;
  if (whole < HOUR) return pair(whole, MINUTE, 'min', 1, 's');
  if (whole < DAY) return pair(whole, HOUR, 'h', MINUTE, 'min');
  return pair(whole, DAY, 'd', HOUR, 'h');
}

function pair(seconds: number, large: number, name: string, small: number, smallName: string) {
  const larges = Math.floor(seconds / large);
  const smalls = Math.floor((seconds % large) / small);
  return smalls === 0 ? `${larges} ${name}` : `${larges} ${name} ${smalls} ${smallName}`;
}

/** As links are sold: `1 Gbit/s`. */
export function inBitRate(bitsPerSecond: number): string {
  const units = ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s'];
  let unit = 0;
  let value = bitsPerSecond;
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return `${Number(value.toFixed(2))} ${units[unit]}`;
}

/** Local time, to the second: `2026-11-25 04:10:03`. */
export function inDate(secondsSince1970: number): string {
  const at = new Date(secondsSince1970 * 1000);
  if (Number.isNaN(at.getTime())) return 'an unknown time';
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** `2026-01-31T12:00:00Z`. */
export function inUtc(secondsSince1970: number): string {
  return new Date(secondsSince1970 * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
}
